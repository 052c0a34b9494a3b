/*
 * late.c - which rows of a batch are late for an aggregate.
 *
 * Judged here and not in SQL, by the same window functions that SQL has: count and drop cannot
 * disagree, and the executor pays nothing.  Sessions have a judge of their own (session_judge.c).
 */
#include "postgres.h"

#include "run.h"
#include "streamagg.h"

/* Whether a row's time says which window it is in. */
static bool
can_be_late(const Aggregate *aggregate)
{
	return aggregate->window.kind != WINDOW_NONE && aggregate->window.kind != WINDOW_SESSION;
}

static bool
is_late(const Aggregate *aggregate, const BatchRow *row)
{
	TimestampTz closed;

	if (TIMESTAMP_IS_NOBEGIN(row->watermark))
		return false;
	closed = row->watermark - aggregate->lateness;
	/* a window ends behind its rows: nearly every row is settled here */
	return row->event_time < closed && window_end_of(&aggregate->window, row->event_time) <= closed;
}

void
run_count_late(Aggregate *aggregate, const Batch *batch, bool *late)
{
	aggregate->rows_in = batch->nrows;
	aggregate->late_rows = 0;
	if (can_be_late(aggregate))
		for (int i = 0; i < batch->nrows; i++)
			if (is_late(aggregate, &batch->rows[i]))
			{
				aggregate->late_rows++;
				late[i] = true;
			}
	aggregate->late_pairs = aggregate->late_rows; /* one window a row, so far */
}

bool *
run_skipped_rows(const Aggregate *aggregate, const Batch *batch)
{
	bool *skip = NULL;

	if (!aggregate->drops_late || !can_be_late(aggregate))
		return NULL;
	for (int i = 0; i < batch->nrows; i++)
	{
		if (!is_late(aggregate, &batch->rows[i]))
			continue;
		if (skip == NULL)
			skip = palloc0(batch->nrows * sizeof(bool));
		skip[i] = true;
	}
	return skip;
}
