/*
 * closing_parts.h - what closing.c and closing_late.c share.
 */
#ifndef STREAMAGG_CLOSING_PARTS_H
#define STREAMAGG_CLOSING_PARTS_H

#include "closing.h"

/* Takes a window; it must not keep what it allocates in the current context. */
typedef void (*ClosingSink)(void *argument, TimestampTz start, TimestampTz end);

/* Runs the statement of closing_sql with these values. */
extern void closing_find(Aggregate *aggregate, Datum *values, ClosingSink sink, void *argument);

/* The windows that were closed at this watermark and not there when closing_look_back() looked. */
extern void
closing_find_new(Aggregate *aggregate, TimestampTz closing, ClosingSink sink, void *argument);

/* A batch of sessions begins; those that end by then are closed.  Tells of those that were remembered. */
extern void closing_begin_sessions(Aggregate *aggregate, TimestampTz until);
extern void closing_tell_sessions(const Aggregate *aggregate, ClosingSink sink, void *argument);

/* A time less some microseconds; -infinity where there is none. */
extern TimestampTz closing_earlier(TimestampTz time, int64 by);

#endif
