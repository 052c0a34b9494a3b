/*
 * closing.h - the windows that the closing watermark passes.
 */
#ifndef STREAMAGG_CLOSING_H
#define STREAMAGG_CLOSING_H

#include "definition.h"
#include "run.h"

/*
 * The statement that finds them, palloc'd; NULL without a window.  Its parameters: starts are behind $1 and
 * before $2; the watermark has gone from $3 to $4.  Ends of sessions are behind $1, and $2 at the latest.
 */
extern char *closing_sql(const Definition *definition, const char *state, int64 lateness);

/*
 * Before the batch's rows are in the states: remembers the windows that late rows may add to, of those that
 * are closed.
 */
extern void closing_look_back(List *aggregates, const Batch *batch, TimestampTz closing);

/*
 * Between the judge and the write of a batch of sessions: remembers those that late rows will have made,
 * with times of no stored one.  closing_forget: they will not, the batch's rows begin anew.
 */
extern void closing_look_at_sessions(Aggregate *aggregate);
extern void closing_forget(List *aggregates);

/*
 * Tells of each window of the aggregates that was not closed at the one closing watermark, or not there,
 * and is closed at the other: by NOTIFY, and to its hook.  In the batch's transaction, behind the
 * progress row's lock, once all rows are in the states.
 */
extern void closing_announce(List *aggregates, TimestampTz before, TimestampTz after);

#endif
