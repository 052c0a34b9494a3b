/*
 * grouping.h - the rows of a batch to groups, for the aggregates that nearly all queries are made of.
 */
#ifndef STREAMAGG_GROUPING_H
#define STREAMAGG_GROUPING_H

#include "tcop/dest.h"

#include "definition.h"

typedef struct Grouping Grouping;

/*
 * Prepares to group the rows of rewrite.c's inner SELECT; NULL when PostgreSQL's own aggregation has to
 * do it: see grouping.c.  In the current context.
 */
extern Grouping *grouping_create(const Definition *definition, bool by_panes);

/* A new start, whatever became of the last; the receiver of the rows to come. */
extern DestReceiver *grouping_begin(Grouping *grouping);
/* By panes: the rows to come belong to the windows of their pane but the first so many. */
extern void grouping_leave_out(Grouping *grouping, int windows);
/* Makes the next of the groups ready, not too many at a time; false: there are no more. */
extern bool grouping_next(Grouping *grouping);
extern void grouping_end(Grouping *grouping);

/* What batch_groups() returns from now on, NULL for nothing; what it did before. */
extern Grouping *grouping_offer(Grouping *grouping);

#endif
