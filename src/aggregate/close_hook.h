/*
 * close_hook.h - the commands that run when windows close.
 *
 * Windows wait in streamagg.close_queue until the command of their aggregate has gone well for them: most
 * of them no longer than the batch that closed them.
 */
#ifndef STREAMAGG_CLOSE_HOOK_H
#define STREAMAGG_CLOSE_HOOK_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* These windows are closed: the command shall run for each. */
extern void close_hook_add(Oid aggregate, const Datum *starts, const Datum *ends, int count);

/*
 * Runs what is due of the aggregates, each command in a savepoint, for a second an aggregate; the rest
 * waits for the next batch.  Errors of a command are recorded, not raised.  Returns when the next is due:
 * -infinity: at once, infinity: nothing waits.
 */
extern TimestampTz close_hook_run(Oid stream, const List *aggregates);

/*
 * Before a batch writes: a command may read its aggregate's view, and DROP VIEW comes from there to the
 * state.
 */
extern void close_hook_lock_views(const List *aggregates);

#endif
