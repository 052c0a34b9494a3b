/*
 * ingest.c - the way of a batch: judge each record, aggregate the rows, write quarantine, counters,
 * offsets and watermarks, all in the caller's transaction.
 *
 * push() and the worker come through here, so both mean the same.  It knows no Kafka.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "aggregate/close_hook.h"
#include "aggregate/closing.h"
#include "aggregate/poison.h"
#include "aggregate/run.h"
#include "archive.h"
#include "check.h"
#include "dedup.h"
#include "gap.h"
#include "guard.h"
#include "ingest.h"
#include "meta.h"
#include "refuse.h"
#include "sqlstate.h"
#include "streamagg.h"

/* The batch at work in this process; others wait behind it while a trigger of a state table pushes. */
static Ingest *innermost = NULL;

static void
refuse_recursion(const Stream *stream)
{
	for (const Ingest *outer = innermost; outer; outer = outer->outer)
		if (outer->stream->relid == stream->relid)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("stream \"%s\" is being fed", stream->name),
							errhint("A trigger of a state table must not push into the stream that "
									"feeds it.")));
}

Ingest *
ingest_begin(Stream *stream)
{
	Ingest *ingest = palloc0(sizeof(Ingest));

	refuse_recursion(stream);
	ingest->stream = stream;
	ingest->scratch =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg redaction", ALLOCSET_DEFAULT_SIZES);
	ingest->progress = progress_lock(stream->relid);
	ingest->quarantine = quarantine_begin(stream->relid);
	ingest->dedup = dedup_begin(stream, ingest->progress);
	batch_reset(stream->batch);
	/* last: who waits for the lock may be cancelled, and then nobody calls ingest_leave() */
	ingest->outer = innermost;
	innermost = ingest;
	return ingest;
}

void
ingest_plan(Stream *stream, const List *aggregates)
{
	Bitmapset *columns = bms_union(run_columns(aggregates), check_columns(stream));

	if (stream->archived)
		columns = bms_add_range(columns, 1, stream->natts);
	if (stream->dedup_key)
		columns = bms_add_member(columns, stream->dedup_key);
	for (int i = 0; i < stream->natts; i++)
	{
		StreamColumn *column = &stream->columns[i];
		Protection *protection = &column->protection;

		column->unread = !bms_is_member(i + 1, columns);
		protection->unread = column->unread && (protection->kind == PROTECT_HMAC ||
												protection->kind == PROTECT_SHA256);
	}
	bms_free(columns);
}

/* ---------------------------------------------------------------- duplicates */

/* The watermark that the row meets; its partition's moves by it. */
static TimestampTz
pass_watermark(Ingest *ingest, Partition *partition, TimestampTz event_time)
{
	TimestampTz before =
		stream_watermark(partition->max_event_time, ingest->stream->watermark_delay);

	if (event_time >= partition->max_event_time)
		partition->max_event_time = event_time;
	else if (!ingest->again) /* else it comes out of order on purpose */
		lateness_add(&ingest->lateness, (uint64) partition->max_event_time - event_time);
	return Max(before, ingest->progress->closing);
}

/* As if the rows that were taken out had never been accepted. */
static void
pass_watermarks_again(Ingest *ingest)
{
	Batch *batch = ingest->stream->batch;

	for (int i = 0; i < ingest->progress->npartitions; i++)
		ingest->progress->partitions[i].max_event_time = ingest->progress->partitions[i].max_before;
	memset(&ingest->lateness, 0, sizeof(ingest->lateness));
	for (int i = 0; i < batch->nrows; i++)
	{
		BatchRow *row = &batch->rows[i];

		row->watermark = pass_watermark(ingest, progress_find(ingest->progress, row->partition),
										row->event_time);
	}
}

static void
count_duplicates(Ingest *ingest, int from, int to, int more)
{
	for (int i = from; i < to; i++)
	{
		Counters *counters =
			&progress_find(ingest->progress, ingest->stream->batch->rows[i].partition)->batch;

		counters->duplicate += more;
		counters->accepted -= more;
	}
}

/*
 * Whether a row is a duplicate depends on the accepted rows before it only, so it is judged when the
 * batch is fed, for all rows at once.  Duplicates wait behind the rows: when one of those is refused
 * after all, its equals may be accepted.
 */
static void
set_duplicates_aside(Ingest *ingest)
{
	Batch *batch = ingest->stream->batch;
	bool *marks;

	if (ingest->dedup == NULL || batch->nrows == 0)
		return;
	marks = dedup_find(ingest->dedup, batch);
	batch_set_aside(batch, marks);
	pfree(marks);
	if (batch->naside == 0)
		return;
	count_duplicates(ingest, batch->nrows, batch->nrows + batch->naside, 1);
	pass_watermarks_again(ingest);
}

static void
put_duplicates_back(Ingest *ingest)
{
	Batch *batch = ingest->stream->batch;

	count_duplicates(ingest, batch->nrows, batch->nrows + batch->naside, -1);
	batch_put_back(batch);
}

/* ---------------------------------------------------------------- feeding */

typedef struct Feeding
{
	Ingest *ingest;
	IngestFeed feed;
	void *argument;
} Feeding;

static void
feed_guarded(void *argument)
{
	Feeding *feeding = argument;

	check_begin(feeding->ingest->stream);
	feeding->feed(feeding->ingest, feeding->argument);
	check_end(feeding->ingest->stream);
}

void
ingest_feed(Ingest *ingest, IngestFeed feed, void *argument)
{
	Feeding feeding = {ingest, feed, argument};

	guard_run(feed_guarded, &feeding);
	set_duplicates_aside(ingest);
}

/* ---------------------------------------------------------------- one record */

/* For the archive.  NULL where numeric has no form of a number in it: the row itself is accepted. */
static struct varlena *
keep_rest(Ingest *ingest, const Record *record)
{
	MemoryContext old = MemoryContextSwitchTo(ingest->scratch);
	struct varlena *kept = NULL;
	Jsonb *rest;

	if (meta_rest(ingest->stream, record, &rest) == 0 && JB_ROOT_COUNT(rest) > 0)
	{
		kept = batch_alloc(ingest->stream->batch, VARSIZE(rest));
		memcpy(kept, rest, VARSIZE(rest));
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(ingest->scratch);
	return kept;
}

/* Asked after each document, whatever became of it, so that the next one starts afresh. */
static bool
has_rest(const Stream *stream)
{
	return stream->keeps_rest && (json_take_rest(stream->reader) || stream->nvalues == 0);
}

/* Their values lie in memory that other rows' have overwritten, and the executor copies whole rows. */
static void
forget_unread(const Stream *stream, bool *isnull)
{
	for (int i = 0; i < stream->natts; i++)
		isnull[i] |= stream->columns[i].unread;
}

static void
judge_record(Ingest *ingest, const Record *record, Partition *partition)
{
	Stream *stream = ingest->stream;
	RecordFault fault;
	TimestampTz event_time;
	BatchRow *row;
	Datum *values;
	bool *isnull;
	bool is_row;
	bool rest;

	if (record->value == NULL)
	{
		partition->batch.tombstones++;
		return;
	}
	batch_next_row(stream->batch, &values, &isnull);
	is_row = record_to_row(stream, record, values, isnull, &event_time, &fault);
	rest = has_rest(stream);
	if (!is_row)
	{
		refuse_record(ingest, record, &fault, values, isnull);
		return;
	}
	forget_unread(stream, isnull);
	partition->batch.accepted++;
	row = batch_keep_row(stream->batch);
	row->event_time = event_time;
	row->watermark = pass_watermark(ingest, partition, event_time);
	row->partition = record->partition;
	row->offset = record->offset;
	row->value = record->value;
	row->length = record->length;
	row->rest = rest ? keep_rest(ingest, record) : NULL;
}

static void
reach(Partition *partition, int64 next_offset)
{
	if (next_offset <= partition->next_offset)
		return;
	partition->batch.gaps += next_offset - partition->next_offset;
	partition->next_offset = next_offset;
	partition->touched = true;
}

void
ingest_reach(Ingest *ingest, int32 id, int64 next_offset)
{
	reach(progress_partition(ingest->progress, id, next_offset), next_offset);
}

static bool
is_skipped(Progress *progress, Partition *partition)
{
	const Skip *skip = gap_find_skip(progress, partition->id, partition->next_offset);

	if (skip == NULL)
		return false;
	gap_pass(progress, partition, partition->next_offset + 1, GAP_SKIPPED, skip->reason);
	return true;
}

void
ingest_record(Ingest *ingest, const Record *record)
{
	Partition *partition = progress_partition(ingest->progress, record->partition, record->offset);
	MemoryContext old;

	if (record->offset < partition->next_offset)
		return;
	reach(partition, record->offset);
	if (unlikely(ingest->progress->skips != NIL) && is_skipped(ingest->progress, partition))
		return;
	old = MemoryContextSwitchTo(ingest->stream->batch->data);
	judge_record(ingest, record, partition);
	MemoryContextSwitchTo(old);
	partition->batch.read++;
	partition->next_offset = record->offset + 1;
	partition->touched = true;
	partition->idle = false;
}

void
ingest_record_again(Ingest *ingest, const Record *record)
{
	Partition *partition = progress_find(ingest->progress, record->partition);
	MemoryContext old;

	if (partition == NULL)
		elog(ERROR, "partition %d of stream \"%s\" is not known", record->partition,
			 ingest->stream->name);
	old = MemoryContextSwitchTo(ingest->stream->batch->data);
	partition->batch.quarantined--;
	judge_record(ingest, record, partition);
	MemoryContextSwitchTo(old);
	partition->touched = true;
}

/* ---------------------------------------------------------------- the end of the batch */

static void
sum_counters(Ingest *ingest)
{
	for (int i = 0; i < ingest->progress->npartitions; i++)
	{
		const Counters *counters = &ingest->progress->partitions[i].batch;

		ingest->total.read += counters->read;
		ingest->total.accepted += counters->accepted;
		ingest->total.quarantined += counters->quarantined;
		ingest->total.dropped += counters->dropped;
		ingest->total.duplicate += counters->duplicate;
		ingest->total.tombstones += counters->tombstones;
	}
}

typedef struct Aggregation
{
	Ingest *ingest;
	bool *late;
	Aggregate *current; /* the one at work */
} Aggregation;

static void
aggregate_all(void *argument)
{
	Aggregation *aggregation = argument;
	const Stream *stream = aggregation->ingest->stream;

	closing_forget(aggregation->ingest->aggregates);
	run_batch(aggregation->ingest->aggregates, stream->relid, stream->batch, aggregation->late,
			  &aggregation->current);
}

/* The row, which was accepted, is refused after all. */
static void
refuse_row(Ingest *ingest, int number, int code, const Aggregate *aggregate)
{
	Batch *batch = ingest->stream->batch;
	const BatchRow *row = &batch->rows[number];
	Record record = {.partition = row->partition,
					 .offset = row->offset,
					 .value = row->value,
					 .length = row->length};
	RecordFault fault = {.stage = "aggregate", .code = code, .aggregate = aggregate->name};
	Size first = (Size) number * batch->natts;

	progress_find(ingest->progress, row->partition)->batch.accepted--;
	refuse_record(ingest, &record, &fault, batch->values + first, batch->isnull + first);
	ingest->poisoned++;
}

static void
refuse_poison(Aggregation *aggregation, int code)
{
	Ingest *ingest = aggregation->ingest;
	Batch *batch = ingest->stream->batch;
	int *codes =
		poison_find(aggregation->current, ingest->stream->relid, batch, code, ingest->again);
	bool *marks = palloc(sizeof(bool) * batch->nrows);

	for (int i = 0; i < batch->nrows; i++)
	{
		marks[i] = codes[i] != 0;
		if (marks[i])
			refuse_row(ingest, i, codes[i], aggregation->current);
	}
	batch_remove_rows(batch, marks);
	put_duplicates_back(ingest);
	pass_watermarks_again(ingest);
	set_duplicates_aside(ingest);
	pfree(marks);
	pfree(codes);
}

/* Until no row is left that some aggregate fails on. */
static void
aggregate_guarded(void *argument)
{
	Aggregation *aggregation = argument;
	ListCell *cell;
	int code;

	foreach (cell, aggregation->ingest->aggregates)
		((Aggregate *) lfirst(cell))->together = 0;
	while ((code = guard_try(aggregate_all, aggregation, sqlstate_is_data)) != 0)
	{
		refuse_poison(aggregation, code);
		memset(aggregation->late, 0, aggregation->ingest->stream->batch->nrows * sizeof(bool));
	}
}

static void
aggregate(Ingest *ingest)
{
	const Batch *batch = ingest->stream->batch;
	Aggregation aggregation = {ingest, palloc0(Max(batch->nrows + batch->naside, 1) * sizeof(bool)),
							   NULL};
	instr_time start;
	instr_time end;

	if (batch->nrows == 0)
	{
		run_begin(ingest->aggregates, ingest->stream->relid);
		return;
	}
	INSTR_TIME_SET_CURRENT(start);
	run_make_room(ingest->aggregates, ingest->stream->relid, batch);
	guard_run(aggregate_guarded, &aggregation);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	ingest->times.aggregate_ms = INSTR_TIME_GET_MILLISEC(end);
	for (int i = 0; i < batch->nrows; i++)
		ingest->late += aggregation.late[i];
	pfree(aggregation.late);
}

TimestampTz
ingest_finish(Ingest *ingest, bool close_all)
{
	const Stream *stream = ingest->stream;
	TimestampTz closing;

	closing_look_back(ingest->aggregates, stream->batch, ingest->progress->closing);
	aggregate(ingest);
	archive_write(ingest->archive, stream);
	dedup_store(ingest->dedup, stream->batch);
	quarantine_store(ingest->quarantine, ingest->again ? "failed" : "new");
	sum_counters(ingest);
	if (!ingest->again)
		lateness_store(&ingest->lateness, stream->relid, stream->batch->nrows);
	closing = progress_closing(ingest->progress, stream->watermark_delay, close_all);
	progress_store(ingest->progress, closing, ingest->again ? NULL : &ingest->times);
	/* behind the watermark, which they shall see; an aggregate's own hook must not push into its stream */
	closing_announce(ingest->aggregates, ingest->progress->closing, closing);
	ingest->next_hook = close_hook_run(stream->relid, ingest->aggregates);
	ingest_leave(ingest);
	return closing;
}

void
ingest_leave(Ingest *ingest)
{
	innermost = ingest->outer;
}

Ingest *
ingest_whole(Stream *stream, bool again, IngestFeed feed, void *argument)
{
	Ingest *ingest = ingest_begin(stream);

	ingest->again = again;
	PG_TRY();
	{
		ingest->aggregates = run_load(stream->relid);
		close_hook_lock_views(ingest->aggregates);
		ingest->archive = archive_load(stream);
		ingest_plan(stream, ingest->aggregates);
		ingest_feed(ingest, feed, argument);
		ingest_finish(ingest, false);
	}
	PG_FINALLY();
	{
		ingest_leave(ingest);
		run_free(ingest->aggregates);
		archive_free(ingest->archive);
	}
	PG_END_TRY();
	return ingest;
}
