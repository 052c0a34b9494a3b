/*
 * failure.h - what an error of a worker means for its stream.
 */
#ifndef STREAMAGG_FAILURE_H
#define STREAMAGG_FAILURE_H

#include "shared.h"
#include "stream.h"

/* What may be shown of an error, palloc'd: no value of a record; behind the mark, its hint. */
#define FAILURE_HINT "; hint: "
extern char *failure_reason(const ErrorData *error);

/*
 * Ends the worker's failed transaction, logs the error without any value of a record, and records
 * backoff or halt.  Called from the worker's outermost PG_CATCH, with the error still there.
 */
extern void failure_handle(StreamSlot *slot, const char *stream);

#endif
