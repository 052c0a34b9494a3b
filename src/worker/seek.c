/*
 * seek.c - seek() and skip(): a person says where a stream goes on.
 *
 * The counters must stay right, so what is passed over is counted as lost and recorded in
 * streamagg.gaps.  Going back is another matter: aggregates would count the records twice, an archive
 * would have them twice.  It is possible only where there are none, or where the brokers show that the
 * log is not the one that was read; the partition's counters then begin anew.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "aggregate/define.h"
#include "archive.h"
#include "catalog.h"
#include "control.h"
#include "event.h"
#include "gap.h"
#include "kafka/consumer.h"
#include "key.h"
#include "offsets.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_seek);
PG_FUNCTION_INFO_V1(streamagg_skip);

static CatalogStatement give_up_notes = {
	"UPDATE streamagg.quarantine_log SET status = 'gone' WHERE stream = $1 AND partition = $2"
	" AND status IN ('new', 'failed')",
	2,
	{REGCLASSOID, INT4OID},
	NULL};

static CatalogStatement delete_notes = {"DELETE FROM streamagg.quarantine_log WHERE stream = $1 "
										"AND partition = $2 AND record_offset >= $3",
										3,
										{REGCLASSOID, INT4OID, INT8OID},
										NULL};

#define QUESTION_KB 4096

typedef struct Seek
{
	Stream *stream;
	KafkaConsumer *consumer;
	Progress *progress;
} Seek;

/* ---------------------------------------------------------------- before anything is done */

static Stream *
require_stream(FunctionCallInfo fcinfo)
{
	Oid relid;
	Stream *stream;

	streamagg_require_preload();
	catalog_check_version();
	PreventCommandDuringRecovery("streamagg's control functions");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("stream must not be null")));
	relid = PG_GETARG_OID(0);
	stream_require_owner(relid);
	stream = stream_load(relid, CurrentMemoryContext);
	if (stream->local)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is local: it has no topic to read", stream->name)));
	key_load(stream);
	return stream;
}

static void
require_stopped(const Stream *stream)
{
	if (control_is_running(stream->relid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("stream \"%s\" must be stopped for this", stream->name),
						errhint("SELECT streamagg.stop(%s);",
								quote_literal_cstr(stream_name(stream->relid)))));
}

/* As the stream's owner, as the worker does. */
static KafkaConsumer *
open_consumer(const Stream *stream)
{
	KafkaConsumerConfig config = {.server = stream->server,
								  .user = stream->owner,
								  .topic = stream->topic,
								  .max_messages = 16,
								  .memory_kb = QUESTION_KB,
								  .impatient = true};

	return kafka_consumer_create(&config);
}

/* What stands at an offset. */
typedef struct Found
{
	bool failed;
	KafkaFailureKind failure;
	KafkaMessageKind kind;
	int64 offset; /* of the failure or the first message */
	Fingerprint fingerprint;
} Found;

static void
look(const Stream *stream, KafkaConsumer *consumer, int32 partition, int64 offset, Found *found)
{
	KafkaMessage message;
	KafkaFailure failure;

	found->failed = !kafka_consumer_read_at(consumer, partition, offset, &message, &failure);
	found->failure = failure.kind;
	found->kind = message.kind;
	found->offset = found->failed ? failure.offset : message.offset;
	if (!found->failed && message.kind == KAFKA_RECORD)
		fingerprint_make(stream->quarantine_key, &message, &found->fingerprint);
}

/* By a consumer for each question: one that turns elsewhere may still hand out what it had read. */
static Found
look_at(const Stream *stream, int32 partition, int64 offset)
{
	Found found = {0};
	KafkaConsumer *consumer = open_consumer(stream);

	PG_TRY();
	{
		look(stream, consumer, partition, offset, &found);
	}
	PG_FINALLY();
	{
		kafka_consumer_destroy(consumer);
	}
	PG_END_TRY();
	return found;
}

/* ---------------------------------------------------------------- seek */

/* What stands there is known not to be what was read. */
static bool
is_replaced(const Seek *seek, const Partition *partition, int64 end)
{
	Found found;

	if (end < partition->next_offset)
		return true;
	if (partition->last.offset < 0)
		return false;
	found = look_at(seek->stream, partition->id, partition->last.offset);
	return !found.failed && found.kind == KAFKA_RECORD &&
		   fingerprint_differs(&partition->last, &found.fingerprint);
}

static void
refuse_counting_twice(const Stream *stream, const Partition *partition, int64 offset)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("stream \"%s\" has read partition %d up to offset " INT64_FORMAT, stream->name,
				partition->id, partition->next_offset),
		 errdetail("Its aggregates would count the records from offset " INT64_FORMAT " on twice.",
				   offset),
		 errhint("streamagg.backfill(aggregate, source => 'kafka') reads them again and replaces "
				 "results; without aggregates the stream can go back.")));
}

/*
 * Notes that retry_quarantine() would look for in vain: in another log none of the partition's records
 * is there; records that are read again get new notes.
 */
static void
close_notes(const Stream *stream, const Partition *partition, int64 offset, bool replaced)
{
	Datum values[3] = {ObjectIdGetDatum(stream->relid), Int32GetDatum(partition->id),
					   Int64GetDatum(offset)};

	catalog_execute(replaced ? &give_up_notes : &delete_notes, values, NULL);
}

static void
refuse_archiving_twice(const Stream *stream, const Partition *partition, int64 offset, Oid archive)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("stream \"%s\" has read partition %d up to offset " INT64_FORMAT, stream->name,
				partition->id, partition->next_offset),
		 errdetail("Its archive would have the records from offset " INT64_FORMAT " on twice.",
				   offset),
		 errhint("Without its archive the stream can go back: ALTER FOREIGN TABLE … OPTIONS (SET "
				 "archive 'off'), DROP TABLE %s.",
				 stream_name(archive))));
}

static void
go_back(const Seek *seek, Partition *partition, int64 offset, int64 end)
{
	bool replaced = is_replaced(seek, partition, end);
	Oid archive = archive_of(seek->stream->relid);

	if (!replaced && define_count(seek->stream->relid) > 0)
		refuse_counting_twice(seek->stream, partition, offset);
	if (!replaced && OidIsValid(archive))
		refuse_archiving_twice(seek->stream, partition, offset, archive);
	if (replaced)
		gap_note(seek->progress, partition, offset, GAP_REPLACED,
				 "the topic's log is another one, its counters begin anew");
	close_notes(seek->stream, partition, offset, replaced);
	event_log(seek->stream->relid, "seek",
			  psprintf("partition %d back from offset " INT64_FORMAT " to " INT64_FORMAT
					   ", until then read " INT64_FORMAT ", gaps " INT64_FORMAT
					   ", lost " INT64_FORMAT,
					   partition->id, partition->next_offset, offset, partition->before.read,
					   partition->before.gaps, partition->before.lost));
	progress_begin_anew(partition, offset);
}

static void
go_on(const Seek *seek, Partition *partition, int64 offset, int64 first)
{
	event_log(seek->stream->relid, "seek",
			  psprintf("partition %d from offset " INT64_FORMAT " to " INT64_FORMAT, partition->id,
					   partition->next_offset, offset));
	gap_pass(seek->progress, partition, Min(offset, first), GAP_LOST,
			 "deleted before they were read");
	gap_pass(seek->progress, partition, offset, GAP_SKIPPED, "seek()");
	partition->last.offset = -1; /* the log is accepted as it is */
	partition->touched = true;
}

static void
move(const Seek *seek, int32 id, int64 offset)
{
	int64 first = kafka_consumer_offset(seek->consumer, id, KAFKA_FIRST);
	int64 end = kafka_consumer_offset(seek->consumer, id, KAFKA_LAST);
	Partition *partition = progress_find(seek->progress, id);

	start_from_require(seek->consumer, id, offset);
	if (partition == NULL)
		(void) progress_partition(seek->progress, id, offset);
	else if (offset < partition->next_offset)
		go_back(seek, partition, offset, end);
	else
		go_on(seek, partition, offset, first);
}

/* All partitions, where the first record from the time on is; behind all that are older. */
static Offsets
offsets_at(KafkaConsumer *consumer, TimestampTz at)
{
	Offsets offsets = {kafka_consumer_partitions(consumer), NULL, NULL};
	int64 time;

	if (!start_from_milliseconds(at, &time))
		time = TIMESTAMP_IS_NOEND(at) ? KAFKA_LAST : KAFKA_FIRST;
	offsets.partitions = palloc(sizeof(int32) * Max(offsets.count, 1));
	offsets.offsets = palloc(sizeof(int64) * Max(offsets.count, 1));
	for (int i = 0; i < offsets.count; i++)
	{
		offsets.partitions[i] = i;
		offsets.offsets[i] = kafka_consumer_offset(consumer, i, time);
		if (offsets.offsets[i] < 0)
			offsets.offsets[i] = kafka_consumer_offset(consumer, i, KAFKA_LAST);
	}
	return offsets;
}

static void
require_partition(KafkaConsumer *consumer, const Stream *stream, int32 partition)
{
	int count = kafka_consumer_partitions(consumer);

	if (partition < 0 || partition >= count)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("topic \"%s\" has no partition %d", stream->topic, partition),
						errdetail("It has %d.", count)));
}

/* Before the first start: partitions that are not told of begin where start_from says. */
static void
add_others(const Seek *seek)
{
	int count = kafka_consumer_partitions(seek->consumer);

	for (int i = 0; i < count; i++)
		if (progress_find(seek->progress, i) == NULL)
			(void) progress_partition(
				seek->progress, i, start_from_find(&seek->stream->start_from, seek->consumer, i));
}

static void
seek_all(Seek *seek, const Offsets *offsets)
{
	static const BatchTimes no_times;

	bool first_start;

	seek->progress = progress_lock(seek->stream->relid);
	first_start = seek->progress->npartitions == 0;
	require_stopped(
		seek->stream); /* behind the lock: a worker that comes now finds what we write */
	for (int i = 0; i < offsets->count; i++)
	{
		require_partition(seek->consumer, seek->stream, offsets->partitions[i]);
		move(seek, offsets->partitions[i], offsets->offsets[i]);
	}
	if (first_start)
		add_others(seek);
	progress_store(seek->progress, seek->progress->closing, &no_times);
}

/* streamagg.seek(stream, offsets, at) */
Datum
streamagg_seek(PG_FUNCTION_ARGS)
{
	Seek seek = {require_stream(fcinfo), NULL, NULL};
	Offsets offsets = {0, NULL, NULL};

	if (PG_ARGISNULL(1) == PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("seek() needs either offsets or a time"),
						errhint("For example offsets => '{\"0\": 42}', or at => '2024-01-31'.")));
	if (!PG_ARGISNULL(1))
		offsets = offsets_of_jsonb(PG_GETARG_JSONB_P(1));
	require_stopped(seek.stream);
	seek.consumer = open_consumer(seek.stream);
	PG_TRY();
	{
		if (PG_ARGISNULL(1))
			offsets = offsets_at(seek.consumer, PG_GETARG_TIMESTAMPTZ(2));
		seek_all(&seek, &offsets);
	}
	PG_FINALLY();
	{
		kafka_consumer_destroy(seek.consumer);
	}
	PG_END_TRY();
	stream_free(seek.stream);
	PG_RETURN_VOID();
}

/* ---------------------------------------------------------------- skip */

/* Whether the batch that begins at first, and cannot be read, still stands at the offset. */
static bool
is_unreadable(const Stream *stream, int32 partition, int64 first, int64 offset)
{
	Found found = look_at(stream, partition, offset);

	return found.failed && found.failure == KAFKA_UNREADABLE && found.offset <= first;
}

/*
 * Where a batch that cannot be read ends: the library does not say, so the first offset is looked for
 * that gives something else.
 */
static int64
find_end(const Stream *stream, const Skip *skip, int64 offset, int64 end)
{
	int64 inside = offset;
	int64 outside = Max(end, offset + 1);

	for (int64 step = 1; inside + step < outside; step *= 2)
	{
		if (is_unreadable(stream, skip->partition, skip->first, inside + step))
			inside += step;
		else
			outside = inside + step;
	}
	while (outside - inside > 1)
	{
		int64 middle = inside + (outside - inside) / 2;

		if (is_unreadable(stream, skip->partition, skip->first, middle))
			inside = middle;
		else
			outside = middle;
	}
	return outside;
}

static void
find_range(const Stream *stream, Skip *skip, int64 offset, int64 end)
{
	Found found = look_at(stream, skip->partition, offset);

	if (!found.failed && found.kind == KAFKA_RECORD && found.offset == offset)
	{
		skip->first = offset;
		skip->next = offset + 1;
		return;
	}
	if (!found.failed || found.failure != KAFKA_UNREADABLE || found.offset > offset)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("topic \"%s\" partition %d has no record at offset " INT64_FORMAT,
					stream->topic, skip->partition, offset),
			 errhint("The reason in streamagg.streams tells the offset that the stream is halted "
					 "at.")));
	skip->first = found.offset;
	skip->next = find_end(stream, skip, offset, end);
}

static void
require_unread(const Stream *stream, int32 id, int64 offset)
{
	const Partition *partition = progress_find(progress_lock(stream->relid), id);

	if (partition && offset < partition->next_offset)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stream \"%s\" is behind offset " INT64_FORMAT " of partition %d already",
						stream->name, offset, id),
				 errdetail("It goes on at offset " INT64_FORMAT ".", partition->next_offset)));
}

/* streamagg.skip(stream, partition, record_offset, reason) */
Datum
streamagg_skip(PG_FUNCTION_ARGS)
{
	Stream *stream = require_stream(fcinfo);
	KafkaConsumer *consumer;
	Skip skip = {0};
	volatile int64 end = 0;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("partition and record_offset must not be null")));
	skip.partition = PG_GETARG_INT32(1);
	skip.reason = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	consumer = open_consumer(stream);
	PG_TRY();
	{
		require_partition(consumer, stream, skip.partition);
		end = kafka_consumer_offset(consumer, skip.partition, KAFKA_LAST);
	}
	PG_FINALLY();
	{
		kafka_consumer_destroy(consumer);
	}
	PG_END_TRY();
	find_range(stream, &skip, PG_GETARG_INT64(2), end);
	require_unread(stream, skip.partition, PG_GETARG_INT64(2));
	gap_add_skip(stream->relid, &skip);
	event_log(stream->relid, "skip",
			  psprintf("partition %d, offsets [" INT64_FORMAT ", " INT64_FORMAT ")%s%s",
					   skip.partition, skip.first, skip.next, skip.reason ? ": " : "",
					   skip.reason ? skip.reason : ""));
	stream_free(stream);
	PG_RETURN_VOID();
}
