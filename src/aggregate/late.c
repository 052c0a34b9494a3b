/*
 * late.c - which rows of a batch are late for an aggregate.
 *
 * Judged here and not in SQL, by the same window functions that SQL has: count and drop cannot
 * disagree, and the executor pays nothing.
 */
#include "postgres.h"

#include "run.h"
#include "streamagg.h"

/* Whether the row met a watermark this long past the end of its window. */
static bool
is_past(const Aggregate *aggregate, const BatchRow *row, int64 after)
{
	TimestampTz closed;

	if (TIMESTAMP_IS_NOBEGIN(row->watermark))
		return false;
	closed = row->watermark - after;
	/* a window ends behind its rows: nearly every row is settled here */
	return row->event_time < closed && window_end_of(&aggregate->window, row->event_time) <= closed;
}

void
run_count_late(Aggregate *aggregate, const Batch *batch, bool *late)
{
	aggregate->rows_in = batch->nrows;
	aggregate->late_rows = 0;
	if (aggregate->window.kind != WINDOW_NONE)
		for (int i = 0; i < batch->nrows; i++)
			if (is_past(aggregate, &batch->rows[i], aggregate->lateness))
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

	if (aggregate->leaves_out_after < 0 || aggregate->window.kind == WINDOW_NONE)
		return NULL;
	for (int i = 0; i < batch->nrows; i++)
	{
		if (!is_past(aggregate, &batch->rows[i], aggregate->leaves_out_after))
			continue;
		if (skip == NULL)
			skip = palloc0(batch->nrows * sizeof(bool));
		skip[i] = true;
	}
	return skip;
}
