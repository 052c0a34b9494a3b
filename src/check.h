/*
 * check.h - the hard rules of a row: NOT NULL and CHECK.
 */
#ifndef STREAMAGG_CHECK_H
#define STREAMAGG_CHECK_H

#include "utils/rel.h"

#include "stream.h"

typedef struct StreamCheck StreamCheck;

/* The first rule that a row breaks. */
typedef struct CheckFault
{
	int code;			/* SQLSTATE; 0: none */
	const char *column; /* NULL: several columns */
	const char *rule;	/* the constraint's name; NULL for NOT NULL of the event time */
} CheckFault;

/* Loads the constraints into the current context. */
extern StreamCheck *check_create(const Stream *stream, Relation rel);

/*
 * A batch's expression state, in the current context (which must outlive the batch's rows);
 * check_end frees what it holds.  A fault's strings belong to the stream.
 */
extern void check_begin(Stream *stream);
extern CheckFault check_row(Stream *stream, Datum *values, bool *isnull);
extern void check_end(Stream *stream);

#endif
