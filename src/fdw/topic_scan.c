/*
 * topic_scan.c - SELECT from a stream that has a topic: from start_from to the end at the call.
 *
 * It shows what a worker would accept, protected as the worker would protect it, and writes nothing.
 * The brokers are asked with the credentials of who reads; keys are those that the stream's owner may
 * use, and conversions and CHECKs run as the owner, as they do in a batch.
 *
 * Records are taken and judged in chunks.  The guard's savepoint is set and released within a chunk:
 * nothing of the executor's lives in it, and a cursor may stay open between two.  The chunk's rows are
 * in the arena of a stream object that belongs to the scan; small chunks first, for LIMIT.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "aggregate/run.h"
#include "catalog.h"
#include "check.h"
#include "compat.h"
#include "fdw/topic_explain.h"
#include "fdw/topic_range.h"
#include "fdw/topic_scan.h"
#include "guard.h"
#include "key.h"
#include "message.h"
#include "streamagg.h"

#define FIRST_CHUNK 256
#define LARGEST_CHUNK 4096
#define READ_AHEAD 50000
#define READ_AHEAD_KB (16 * 1024)
#define SLICE_MS 200
#define SILENCE_MS 2000

typedef struct TopicScan
{
	MemoryContext context; /* holds all of this; its end is the consumer's */
	MemoryContextCallback on_end;
	Oid relid;
	Oid user; /* whose credentials the brokers are given */
	List *conditions;
	TupleTableSlot *slot;
	Stream *stream; /* NULL until the first row is asked for, as the next two */
	KafkaConsumer *consumer;
	TopicRange *range;
	MemoryContext bounds_context;
	PushdownBounds *bounds; /* NULL: to be read from the beginning */
	TimestampTz heard;		/* when a message came */
	int judged;				/* of the messages that were taken */
	int chunk;
	int row; /* of the chunk's rows, the next to hand out */
	TopicCounters counters;
} TopicScan;

/* ---------------------------------------------------------------- a chunk */

static Stream *
load_stream(const TopicScan *scan)
{
	OwnerScope scope;
	Stream *stream;

	catalog_check_version();
	run_enter_owner(scan->relid, &scope);
	stream = stream_load(scan->relid, scan->context);
	key_load(stream);
	run_leave_owner(&scope);
	if (stream->natts != scan->slot->tts_tupleDescriptor->natts)
		elog(ERROR, "stream \"%s\" was altered within a scan", stream->name);
	return stream;
}

static void
judge_message(TopicScan *scan, int number)
{
	Stream *stream = scan->stream;
	KafkaMessage message;
	Record record;
	RecordFault fault;
	TimestampTz event_time;
	Datum *values;
	bool *isnull;

	kafka_consumer_message(scan->consumer, number, &message);
	if (!topic_range_holds(scan->range, &message))
		return;
	scan->counters.read++;
	if (message.value == NULL)
	{
		scan->counters.tombstones++;
		return;
	}
	message_to_record(stream, scan->consumer, number, &message, &record);
	batch_next_row(stream->batch, &values, &isnull);
	if (!record_to_row(stream, &record, values, isnull, &event_time, &fault))
	{
		topic_explain_count(&scan->counters, fault.stage);
		return;
	}
	batch_keep_row(stream->batch);
	scan->counters.accepted++;
}

static void
judge_guarded(void *argument)
{
	TopicScan *scan = argument;
	int end = Min(scan->judged + scan->chunk, kafka_consumer_count(scan->consumer));
	MemoryContext old;

	check_begin(scan->stream);
	old = MemoryContextSwitchTo(scan->stream->batch->data);
	for (; scan->judged < end; scan->judged++)
	{
		CHECK_FOR_INTERRUPTS();
		judge_message(scan, scan->judged);
	}
	MemoryContextSwitchTo(old);
	check_end(scan->stream);
}

static void
judge_chunk(TopicScan *scan)
{
	OwnerScope scope;

	batch_reset(scan->stream->batch);
	scan->row = 0;
	run_enter_owner(scan->relid, &scope);
	guard_run(judge_guarded, scan);
	run_leave_owner(&scope);
	if (scan->range->limit)
		scan->range->limit->accepted += scan->stream->batch->nrows;
	scan->chunk = Min(scan->chunk * 2, LARGEST_CHUNK);
}

/* ---------------------------------------------------------------- messages */

static void
close_consumer(TopicScan *scan)
{
	if (scan->consumer)
		kafka_consumer_destroy(scan->consumer);
	scan->consumer = NULL;
}

/* Until something may have come, or a slice is over. */
static void
wait_for_messages(TopicScan *scan)
{
	kafka_consumer_nudge(scan->consumer, scan->range->count);
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 kafka_consumer_socket(scan->consumer), SLICE_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	kafka_consumer_drain_socket(scan->consumer);
	if (!TimestampDifferenceExceeds(scan->heard, GetCurrentTimestamp(), SILENCE_MS))
		return;
	topic_range_confirm(scan->range, scan->consumer);
	scan->heard = GetCurrentTimestamp();
}

/* The next messages instead of those that are judged; false at the end. */
static bool
take_messages(TopicScan *scan)
{
	kafka_consumer_release(scan->consumer);
	scan->judged = 0;
	scan->heard = GetCurrentTimestamp();
	while (scan->range->reading > 0)
	{
		int count = kafka_consumer_take(scan->consumer);

		if (kafka_consumer_failures(scan->consumer) > 0)
			kafka_consumer_raise_failure(scan->consumer, 0);
		for (int i = 0; i < count; i++)
		{
			KafkaMessage message;

			kafka_consumer_message(scan->consumer, i, &message);
			topic_range_note(scan->range, scan->consumer, &message);
		}
		if (count > 0)
			return true;
		wait_for_messages(scan);
	}
	return false;
}

/* The next chunk with rows; false at the end, where no consumer is needed any more. */
static bool
next_rows(TopicScan *scan)
{
	if (scan->consumer == NULL)
		return false;
	do
	{
		if (scan->judged == kafka_consumer_count(scan->consumer) && !take_messages(scan))
		{
			close_consumer(scan);
			return false;
		}
		judge_chunk(scan);
	} while (scan->stream->batch->nrows == 0);
	return true;
}

/* ---------------------------------------------------------------- life */

static void
open_topic(TopicScan *scan)
{
	KafkaConsumerConfig config = {0};
	MemoryContext old = MemoryContextSwitchTo(scan->context);

	if (scan->stream == NULL)
		scan->stream = load_stream(scan);
	config = (KafkaConsumerConfig){.server = scan->stream->server,
								   .user = scan->user,
								   .topic = scan->stream->topic,
								   .max_messages = LARGEST_CHUNK,
								   .memory_kb = READ_AHEAD_KB,
								   .read_ahead = READ_AHEAD};
	scan->consumer = kafka_consumer_create(&config);
	if (scan->range == NULL)
		scan->range = topic_range_create(scan->stream, scan->consumer);
	MemoryContextSwitchTo(old);
}

/*
 * Parameters may be others than the last time.  So is the consumer: one that has read turns to other
 * offsets only when its last fetch has timed out, a new one at once.
 */
static void
begin_reading(ForeignScanState *node, TopicScan *scan)
{
	MemoryContext old;

	close_consumer(scan);
	open_topic(scan);
	scan->judged = 0;
	scan->row = 0;
	scan->chunk = FIRST_CHUNK;
	batch_reset(scan->stream->batch);
	MemoryContextReset(scan->bounds_context);
	old = MemoryContextSwitchTo(scan->bounds_context);
	scan->bounds = pushdown_bounds(scan->conditions, node, true);
	MemoryContextSwitchTo(old);
	topic_range_begin(scan->range, scan->consumer, scan->bounds);
}

static TupleTableSlot *
iterate(ForeignScanState *node)
{
	TopicScan *scan = node->fdw_state;
	TupleTableSlot *slot = scan->slot;
	const Batch *batch;
	Size first;

	ExecClearTuple(slot);
	if (scan->bounds == NULL)
		begin_reading(node, scan);
	batch = scan->stream->batch;
	if (scan->row == batch->nrows && !next_rows(scan))
		return slot;
	/* copied, since a slot may be made to own its values */
	first = (Size) scan->row++ * batch->natts;
	memcpy(slot->tts_values, batch->values + first, sizeof(Datum) * batch->natts);
	memcpy(slot->tts_isnull, batch->isnull + first, sizeof(bool) * batch->natts);
	return ExecStoreVirtualTuple(slot);
}

static void
rescan(ForeignScanState *node)
{
	((TopicScan *) node->fdw_state)->bounds = NULL;
}

static void
end(ForeignScanState *node)
{
	MemoryContextDelete(((TopicScan *) node->fdw_state)->context);
}

/* However the scan ends, also by an error: no thread and no descriptor is left. */
static void
destroy_consumer(void *argument)
{
	close_consumer(argument);
}

static void
explain(ForeignScanState *node, ExplainState *state)
{
	TopicScan *scan = node->fdw_state;
	bool ran = scan->bounds != NULL;

	topic_explain(state, scan->relid,
				  ran ? scan->bounds : pushdown_bounds(scan->conditions, node, false),
				  state->analyze ? &scan->counters : NULL);
}

void
topic_scan_begin(ForeignScanState *node, int flags)
{
	static FdwRoutine routine = {.type = T_FdwRoutine,
								 .IterateForeignScan = iterate,
								 .ReScanForeignScan = rescan,
								 .EndForeignScan = end,
								 .ExplainForeignScan = explain};
	EState *estate = node->ss.ps.state;
	Relation rel = node->ss.ss_currentRelation;
	MemoryContext context =
		AllocSetContextCreate(estate->es_query_cxt, "streamagg topic scan", ALLOCSET_DEFAULT_SIZES);
	TopicScan *scan = MemoryContextAllocZero(context, sizeof(TopicScan));

	scan->context = context;
	scan->bounds_context =
		AllocSetContextCreate(context, "streamagg topic bounds", ALLOCSET_SMALL_SIZES);
	scan->relid = RelationGetRelid(rel);
	scan->user = compat_scan_user(node);
	scan->conditions = pushdown_find(node);
	node->fdw_state = scan;
	node->fdwroutine = &routine;
	if (flags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	scan->slot = ExecAllocTableSlot(&estate->es_tupleTable, RelationGetDescr(rel), &TTSOpsVirtual);
	scan->on_end.func = destroy_consumer;
	scan->on_end.arg = scan;
	MemoryContextRegisterResetCallback(context, &scan->on_end);
	/* Gather nodes of such a plan do all themselves: no savepoint can be set in parallel mode */
	estate->es_plannedstmt->parallelModeNeeded = false;
}
