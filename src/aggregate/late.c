/*
 * late.c - which rows of a batch are late for an aggregate.
 *
 * Judged here and not in SQL, by the same window functions that SQL has: count and drop cannot
 * disagree, and the executor pays nothing.  A row is late for each of its windows by itself; since their
 * ends ascend, those are its first ones, and a time says which: those that have ended by then.  Sessions
 * have a judge of their own (session_judge.c).
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "run.h"
#include "streamagg.h"
#include "window_run.h"

PG_FUNCTION_INFO_V1(streamagg_batch_takes);

typedef struct Verdict
{
	int windows; /* not counted, and 1, where none is late */
	int late;
} Verdict;

/* Windows that end by then are past for the row, by so long; DT_NOBEGIN: none is. */
static TimestampTz
closed_for(const BatchRow *row, int64 after)
{
	if (TIMESTAMP_IS_NOBEGIN(row->watermark))
		return DT_NOBEGIN;
	return row->watermark - after;
}

static Verdict
judge(const Window *window, const BatchRow *row, TimestampTz closed)
{
	WindowRun run;

	/* a window ends behind its rows: nearly every row is settled here */
	if (row->event_time >= closed)
		return (Verdict){1, 0};
	run = window_run(window, row->event_time);
	return (Verdict){run.count, window_run_ended(&run, closed)};
}

/* Whether a row's time says which windows it is in. */
static bool
is_of_time(const Window *window)
{
	return window->kind != WINDOW_NONE && window->kind != WINDOW_SESSION;
}

static bool
is_late_for_all(Verdict verdict)
{
	return verdict.late > 0 && verdict.late == verdict.windows;
}

void
run_count_late(Aggregate *aggregate, const Batch *batch, bool *late)
{
	aggregate->rows_in = batch->nrows;
	aggregate->late_rows = 0;
	aggregate->late_pairs = 0;
	if (!is_of_time(&aggregate->judged))
		return;
	for (int i = 0; i < batch->nrows; i++)
	{
		const BatchRow *row = &batch->rows[i];
		Verdict verdict = judge(&aggregate->judged, row, closed_for(row, aggregate->lateness));

		aggregate->late_pairs += verdict.late;
		if (!is_late_for_all(verdict))
			continue;
		aggregate->late_rows++;
		late[i] = true;
	}
}

/* ---------------------------------------------------------------- what is left out */

static bool *
marks(const Batch *batch)
{
	return palloc0(sizeof(bool) * batch->nrows);
}

static TimestampTz *
no_times(const Batch *batch)
{
	TimestampTz *times = palloc(sizeof(TimestampTz) * batch->nrows);

	for (int i = 0; i < batch->nrows; i++)
		times[i] = DT_NOBEGIN;
	return times;
}

/* Late rows are those of a rollup's aggregate; what is over by the retention, its own windows say. */
static const Window *
left_out_by(const Aggregate *aggregate)
{
	return aggregate->drops_late ? &aggregate->judged : &aggregate->definition->window;
}

ScanOffer
run_offer(const Aggregate *aggregate, Oid stream, const Batch *batch)
{
	ScanOffer offer = {stream, batch, NULL, 0, batch->nrows, NULL};
	const Window *window = left_out_by(aggregate);
	bool *skip = NULL;
	TimestampTz *closed = NULL;

	if (aggregate->leaves_out_after < 0 || !is_of_time(window))
		return offer;
	for (int i = 0; i < batch->nrows; i++)
	{
		TimestampTz until = closed_for(&batch->rows[i], aggregate->leaves_out_after);
		Verdict verdict = judge(window, &batch->rows[i], until);

		if (verdict.late == 0)
			continue;
		if (is_late_for_all(verdict))
		{
			skip = skip ? skip : marks(batch);
			skip[i] = true;
			continue;
		}
		closed = closed ? closed : no_times(batch);
		closed[i] = until;
	}
	offer.skip = skip;
	offer.closed = closed;
	return offer;
}

bool *
run_skip_others(const Aggregate *aggregate, const ScanOffer *offer, int late, int *next)
{
	bool *skip = marks(offer->batch);

	*next = 0;
	for (int i = offer->first; i < offer->end; i++)
	{
		int found = judge(left_out_by(aggregate), &offer->batch->rows[i], offer->closed[i]).late;
		bool skipped = offer->skip && offer->skip[i];

		skip[i] = skipped || found != late;
		if (!skipped && found > late && (*next == 0 || found < *next))
			*next = found;
	}
	return skip;
}

/* streamagg.batch_takes(window_end, tid) */
Datum
streamagg_batch_takes(PG_FUNCTION_ARGS)
{
	const ScanOffer *offer = scan_offered();
	int64 row = scan_row((ItemPointer) PG_GETARG_POINTER(1));

	if (offer->batch == NULL || row < 0 || row >= offer->batch->nrows)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("there are no rows outside a batch"),
						errhint("The functions streamagg.batch_… are for the stream's own "
								"statement.")));
	PG_RETURN_BOOL(offer->closed == NULL || TIMESTAMP_IS_NOBEGIN(offer->closed[row]) ||
				   PG_GETARG_TIMESTAMPTZ(0) > offer->closed[row]);
}
