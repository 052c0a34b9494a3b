/*
 * topic_explain.c - EXPLAIN of a scan of a topic: what would be read, and what was.
 *
 * Bounds are inclusive.  Those that are known only when the statement runs (parameters, now()) are
 * said to be so; EXPLAIN ANALYZE tells them.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

#include "fdw/topic_explain.h"
#include "stream.h"

static const char *const stages[TOPIC_STAGES] = {"decode", "convert", "protect", "check"};

void
topic_explain_count(TopicCounters *counters, const char *stage)
{
	for (int i = 0; i < TOPIC_STAGES; i++)
		if (strcmp(stage, stages[i]) == 0)
			counters->refused[i]++;
}

/* 'low to high', with words where there is no bound. */
static char *
describe(const PushdownRange *range, const char *first, const char *last)
{
	const char *low = range->low == 0 ? first : psprintf(INT64_FORMAT, range->low);
	const char *high = range->high == PG_INT64_MAX ? last : psprintf(INT64_FORMAT, range->high);

	if (range->low > range->high)
		return "none";
	if (range->low == range->high)
		return psprintf(INT64_FORMAT, range->low);
	return psprintf("%s to %s%s", low, high, range->open_question ? ", fewer when it runs" : "");
}

static char *
describe_partitions(const PushdownBounds *bounds)
{
	const PushdownRange *range = &bounds->ranges[PUSHDOWN_PARTITION];
	StringInfoData text;

	if (!bounds->listed)
		return range->low == 0 && range->high == PG_INT64_MAX && !range->open_question
				   ? "all"
				   : describe(range, "0", "last");
	initStringInfo(&text);
	for (int i = 0; i < bounds->nlist; i++)
		if (pushdown_takes_partition(bounds, bounds->list[i]))
			appendStringInfo(&text, "%s" INT64_FORMAT, text.len ? ", " : "", bounds->list[i]);
	if (text.len == 0)
		return "none";
	if (range->open_question)
		appendStringInfoString(&text, ", fewer when it runs");
	return text.data;
}

static void
explain_times(ExplainState *state, const PushdownRange *times)
{
	if (times->low > times->high)
		ExplainPropertyText("Timestamps", "none", state);
	else if (IS_VALID_TIMESTAMP(times->low))
		ExplainPropertyText("Timestamps", psprintf("%s and later", timestamptz_to_str(times->low)),
							state);
	else if (times->open_question)
		ExplainPropertyText("Timestamps", "known when it runs", state);
}

static void
explain_counters(ExplainState *state, const TopicCounters *counters)
{
	StringInfoData refused;

	initStringInfo(&refused);
	for (int i = 0; i < TOPIC_STAGES; i++)
		if (counters->refused[i] > 0)
			appendStringInfo(&refused, "%s%s " INT64_FORMAT, refused.len ? ", " : "", stages[i],
							 counters->refused[i]);
	ExplainPropertyInteger("Records Read", NULL, counters->read, state);
	ExplainPropertyInteger("Records Accepted", NULL, counters->accepted, state);
	if (refused.len > 0 || state->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyText("Not Accepted", refused.data, state);
	if (counters->tombstones > 0 || state->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyInteger("Tombstones", NULL, counters->tombstones, state);
}

void
topic_explain(ExplainState *state, Oid relid, const PushdownBounds *bounds,
			  const TopicCounters *counters)
{
	const char *start = stream_option(relid, "start_from", "earliest");

	ExplainPropertyText("Topic", stream_option(relid, "topic", ""), state);
	ExplainPropertyText("Partitions", describe_partitions(bounds), state);
	ExplainPropertyText("Offsets", describe(&bounds->ranges[PUSHDOWN_OFFSET], start, "end"), state);
	explain_times(state, &bounds->ranges[PUSHDOWN_TIME]);
	if (counters)
		explain_counters(state, counters);
}
