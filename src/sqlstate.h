/*
 * sqlstate.h - classes of errors: whose fault one is, and so what comes next.
 */
#ifndef STREAMAGG_SQLSTATE_H
#define STREAMAGG_SQLSTATE_H

typedef enum SqlstateClass
{
	SQLSTATE_DATA,			/* of a row: its message may quote values */
	SQLSTATE_TRANSIENT,		/* passes by itself: try again */
	SQLSTATE_CONFIGURATION, /* needs a person */
	SQLSTATE_UNKNOWN		/* a bug, or corrupted data: XX */
} SqlstateClass;

extern SqlstateClass sqlstate_class(int code);

/*
 * A definition is to blame, of this database or its roles, so that changing it is the cure: 42, 3D, 3F,
 * 28, 0A, HV, 55, F0.
 */
extern bool sqlstate_is_curable(int code);
/* The same from its text, as catalogues have it. */
extern bool sqlstate_text_is_curable(const char *code);
/* Brokers lock out who tries too often: never without a reason. */
extern bool sqlstate_is_authentication(int code);

/* For guard_try: what an expression or constraint says of a row. */
extern bool sqlstate_is_data(int code);
/* For guard_try: what an input function says of a value; only the server's own trouble is not. */
extern bool sqlstate_is_no_server_trouble(int code);

#endif
