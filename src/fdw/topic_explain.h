/*
 * topic_explain.h - what EXPLAIN says of a scan of a topic.
 */
#ifndef STREAMAGG_TOPIC_EXPLAIN_H
#define STREAMAGG_TOPIC_EXPLAIN_H

#include "compat.h"
#include "fdw/pushdown.h"

/* The steps at which a record may fail, in their order. */
#define TOPIC_STAGES 4

typedef struct TopicCounters
{
	int64 read;
	int64 accepted;
	int64 tombstones;
	int64 refused[TOPIC_STAGES];
} TopicCounters;

extern void topic_explain_count(TopicCounters *counters, const char *stage);

/* counters: of what ran, or NULL. */
extern void topic_explain(ExplainState *state, Oid relid, const PushdownBounds *bounds,
						  const TopicCounters *counters);

#endif
