/*
 * control.h - what shall run: start(), stop() and their like, and the catalogue behind them.
 */
#ifndef STREAMAGG_CONTROL_H
#define STREAMAGG_CONTROL_H

#include "shared.h"

/* System identifier and database, palloc'd: a copy of the database is not the database. */
extern char *control_identity(void);

/* Makes the stream's catalogue row where there is none. */
extern void control_register(Oid stream);
/* After DROP of the stream: its worker ends. */
extern void control_forget(Oid stream);
extern bool control_is_running(Oid stream);
/* Raises 55006 when options that need a stopped stream differ from those it was started with. */
extern void control_check_fixed_options(Oid stream);

/* Halts the stream in a transaction of its own: it runs again after start(). */
extern void control_halt(Oid stream, const char *code, const char *reason);

/* Records a failure and when to try again: 1 s, doubled each time, 60 s at the most; locked. */
extern void control_back_off(StreamSlot *slot, const char *code, const char *reason);
/* The stream waits for something outside: looked for after 5 s, doubled, 30 s at the most; locked. */
extern void control_block(StreamSlot *slot, const char *code, const char *reason);

/* Raises 55000 with the reason when the stream is blocked: nobody knows how long. */
extern void control_require_not_blocked(Oid stream);

/* Lifts a halt, since what was to blame has changed.  False when it is not halted any more. */
extern bool control_lift(Oid stream);

#endif
