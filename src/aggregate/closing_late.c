/*
 * closing_late.c - windows that are closed when their first row comes, which is late.
 *
 * No watermark passes them any more.  So before a batch with such rows is aggregated, the closed windows
 * around them are remembered, and afterwards those that are new count as closed by this batch.  With late
 * 'drop' there are none.  Sessions: closing_session.c.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "closing_parts.h"
#include "window_run.h"

typedef struct Found
{
	TimestampTz start;
	TimestampTz end;
} Found;

/* What a batch's late rows may touch. */
struct ClosingLate
{
	MemoryContext context;
	int nranges;
	Found *ranges; /* of starts, both ends left out; in order, apart from each other */
	int nknown;
	int capacity;
	Found *known; /* closed windows that are there, in order */
	int compared; /* those of them that the second look has passed */
	ClosingSink sink;
	void *argument;
};

/* ---------------------------------------------------------------- ranges */

static int
compare_ranges(const void *a, const void *b)
{
	const Found *x = a;
	const Found *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int
join_ranges(Found *ranges, int count)
{
	int kept = 0;

	qsort(ranges, count, sizeof(Found), compare_ranges);
	for (int i = 1; i < count; i++)
		if (ranges[i].start < ranges[kept].end)
			ranges[kept].end = Max(ranges[kept].end, ranges[i].end);
		else
			ranges[++kept] = ranges[i];
	return kept + 1;
}

/* Around each row that lies before the time: starts of windows that it may belong to. */
static int
find_ranges(const Aggregate *aggregate, const Batch *batch, TimestampTz closed, Found **ranges)
{
	int64 longest = window_longest(&aggregate->definition->window);
	int64 margin =
		aggregate->definition->window.kind == WINDOW_DATE_TRUNC ? WINDOW_CALENDAR_MARGIN : 1;
	int count = 0;

	*ranges = NULL;
	for (int i = 0; i < batch->nrows; i++)
	{
		TimestampTz event_time = batch->rows[i].event_time;

		if (event_time >= closed)
			continue;
		if (*ranges == NULL)
			*ranges = palloc(sizeof(Found) * batch->nrows);
		(*ranges)[count].start = closing_earlier(event_time, longest);
		(*ranges)[count++].end = event_time + margin;
	}
	return count > 0 ? join_ranges(*ranges, count) : 0;
}

static void
find_closed(Aggregate *aggregate, TimestampTz closing, ClosingSink sink)
{
	struct ClosingLate *late = aggregate->late;

	for (int i = 0; i < late->nranges; i++)
	{
		Datum values[4] = {TimestampTzGetDatum(late->ranges[i].start),
						   TimestampTzGetDatum(late->ranges[i].end),
						   TimestampTzGetDatum(DT_NOBEGIN), TimestampTzGetDatum(closing)};

		closing_find(aggregate, values, sink, late);
	}
}

/* ---------------------------------------------------------------- before and after */

static void
remember(void *argument, TimestampTz start, TimestampTz end)
{
	struct ClosingLate *late = argument;

	if (late->nknown == late->capacity)
	{
		MemoryContext old = MemoryContextSwitchTo(late->context);

		late->capacity = Max(late->capacity * 2, 64);
		late->known = late->known ? repalloc_huge(late->known, sizeof(Found) * late->capacity)
								  : palloc(sizeof(Found) * late->capacity);
		MemoryContextSwitchTo(old);
	}
	late->known[late->nknown].start = start;
	late->known[late->nknown++].end = end;
}

void
closing_look_back(List *aggregates, const Batch *batch, TimestampTz closing)
{
	ListCell *cell;

	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);
		Found *ranges;
		int nranges;

		aggregate->late = NULL;
		if (aggregate->sessions)
			closing_begin_sessions(aggregate, closing_earlier(closing, aggregate->lateness));
		if (aggregate->closing.sql == NULL || aggregate->drops_late ||
			window_longest(&aggregate->definition->window) == PG_INT64_MAX)
			continue;
		nranges =
			find_ranges(aggregate, batch, closing_earlier(closing, aggregate->lateness), &ranges);
		if (nranges == 0)
			continue;
		aggregate->late = palloc0(sizeof(struct ClosingLate));
		aggregate->late->context = CurrentMemoryContext;
		aggregate->late->nranges = nranges;
		aggregate->late->ranges = ranges;
		find_closed(aggregate, closing, remember);
	}
}

static bool
is_before(const Found *known, TimestampTz start, TimestampTz end)
{
	return known->start < start || (known->start == start && known->end < end);
}

/* Both looks go the same way, so one step is enough for each window that was there. */
static void
tell_if_new(void *argument, TimestampTz start, TimestampTz end)
{
	struct ClosingLate *late = argument;
	const Found *known = late->known;

	while (late->compared < late->nknown && is_before(&known[late->compared], start, end))
		late->compared++;
	if (late->compared == late->nknown || known[late->compared].start != start ||
		known[late->compared].end != end)
		late->sink(late->argument, start, end);
}

void
closing_find_new(Aggregate *aggregate, TimestampTz closing, ClosingSink sink, void *argument)
{
	if (aggregate->late == NULL)
		return;
	aggregate->late->sink = sink;
	aggregate->late->argument = argument;
	find_closed(aggregate, closing, tell_if_new);
	aggregate->late = NULL;
}
