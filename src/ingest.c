/*
 * ingest.c - the way of a batch: judge each record, aggregate the rows, write quarantine, counters,
 * offsets and watermarks, all in the caller's transaction.
 *
 * push() and the worker come through here, so both mean the same.  It knows no Kafka.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/timestamp.h"

#include "aggregate/run.h"
#include "check.h"
#include "ingest.h"
#include "streamagg.h"

Ingest *
ingest_begin(Stream *stream)
{
	Ingest *ingest = palloc0(sizeof(Ingest));

	ingest->stream = stream;
	ingest->progress = progress_lock(stream->relid);
	ingest->quarantine = quarantine_begin(stream->relid);
	batch_reset(stream->batch);
	check_begin(stream);
	return ingest;
}

/* ---------------------------------------------------------------- one record */

static void
stop_stream(const Ingest *ingest, const Record *record, const RecordFault *fault)
{
	const Stream *stream = ingest->stream;
	const char *topic = stream->topic ? psprintf("topic \"%s\" ", stream->topic) : "";

	ereport(ERROR,
			(errcode(fault->code),
			 errmsg("stream \"%s\", %spartition %d offset " INT64_FORMAT ": %s", stream->name,
					topic, record->partition, record->offset, record_fault_reason(fault)),
			 errsafe(),
			 errhint("The stream's options on_decode_error and on_violation say what "
					 "becomes of such records.")));
}

static void
refuse_record(Ingest *ingest, const Record *record, const RecordFault *fault, Counters *counters)
{
	bool undecoded = strcmp(fault->stage, "decode") == 0;

	switch (undecoded ? ingest->stream->on_decode_error : ingest->stream->on_violation)
	{
		case POLICY_STOP:
			stop_stream(ingest, record, fault);
			break;
		case POLICY_DROP:
			counters->dropped++;
			break;
		case POLICY_QUARANTINE:
			counters->quarantined++;
			quarantine_add(ingest->quarantine, record, fault);
			break;
	}
}

static void
judge_record(Ingest *ingest, const Record *record, Partition *partition)
{
	Stream *stream = ingest->stream;
	RecordFault fault;
	TimestampTz event_time;
	TimestampTz watermark;
	Datum *values;
	bool *isnull;

	if (record->value == NULL)
	{
		partition->batch.tombstones++;
		return;
	}
	batch_next_row(stream->batch, &values, &isnull);
	if (!record_to_row(stream, record, values, isnull, &event_time, &fault))
	{
		refuse_record(ingest, record, &fault, &partition->batch);
		return;
	}
	partition->batch.accepted++;
	watermark = stream_watermark(partition->max_event_time, stream->watermark_delay);
	batch_keep_row(stream->batch, event_time, Max(watermark, ingest->progress->closing));
	partition->max_event_time = Max(partition->max_event_time, event_time);
}

void
ingest_record(Ingest *ingest, const Record *record)
{
	Partition *partition = progress_partition(ingest->progress, record->partition, record->offset);
	MemoryContext old;

	if (record->offset < partition->next_offset)
		return;
	ingest_reach(ingest, record->partition, record->offset);
	old = MemoryContextSwitchTo(ingest->stream->batch->data);
	judge_record(ingest, record, partition);
	MemoryContextSwitchTo(old);
	partition->batch.read++;
	partition->next_offset = record->offset + 1;
	partition->touched = true;
	partition->idle = false;
}

void
ingest_reach(Ingest *ingest, int32 id, int64 next_offset)
{
	Partition *partition = progress_partition(ingest->progress, id, next_offset);

	if (next_offset <= partition->next_offset)
		return;
	partition->batch.gaps += next_offset - partition->next_offset;
	partition->next_offset = next_offset;
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

static void
aggregate(Ingest *ingest)
{
	Batch *batch = ingest->stream->batch;
	bool *late = palloc0(Max(batch->nrows, 1) * sizeof(bool));
	instr_time start;
	instr_time end;

	INSTR_TIME_SET_CURRENT(start);
	run_batch(ingest->aggregates, ingest->stream->relid, batch, late);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	ingest->times.aggregate_ms = INSTR_TIME_GET_MILLISEC(end);
	for (int i = 0; i < batch->nrows; i++)
		ingest->late += late[i];
	pfree(late);
}

TimestampTz
ingest_finish(Ingest *ingest, bool close_all)
{
	const Stream *stream = ingest->stream;
	TimestampTz closing;

	check_end(ingest->stream);
	aggregate(ingest);
	quarantine_store(ingest->quarantine);
	sum_counters(ingest);
	closing = progress_closing(ingest->progress, stream->watermark_delay, close_all);
	progress_store(ingest->progress, closing, &ingest->times);
	return closing;
}
