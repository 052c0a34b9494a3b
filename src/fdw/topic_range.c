/*
 * topic_range.c - where a SELECT begins in each partition, and where it ends.
 *
 * The ends are asked once, when the scan begins: what is produced later is not read, and a scan that
 * is repeated within its statement sees the same.  A partition is read when its position has reached
 * the stop; the library tells of it by a record behind or by the end of the partition, so that a range
 * that ends in a gap (aborted records, control markers, compaction) ends, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "decode/time.h"
#include "fdw/topic_range.h"
#include "streamagg.h"

static CatalogStatement read_starts = {
	"SELECT partition, start_offset FROM streamagg.partition_progress WHERE stream = $1",
	1,
	{REGCLASSOID},
	NULL};

static TopicLimit *limit_in_force;

TopicLimit *
topic_range_set_limit(TopicLimit *limit)
{
	TopicLimit *before = limit_in_force;

	limit_in_force = limit;
	return before;
}

/* ---------------------------------------------------------------- the whole topic */

/*
 * 'latest' means the ends that the stream found at its first start: its partitions that were found
 * later are read from their beginning.  Before there is nothing to show.
 */
static void
start_where_the_stream_did(TopicRange *range, const Stream *stream)
{
	Datum argument = ObjectIdGetDatum(stream->relid);
	CatalogScope scope;
	uint64 rows;
	bool isnull;

	catalog_enter(&scope);
	rows = catalog_read(&read_starts, &argument);
	for (int i = 0; i < range->count; i++)
		range->partitions[i].start = rows == 0 ? range->partitions[i].end : -1;
	for (uint64 i = 0; i < rows; i++)
	{
		int32 partition = DatumGetInt32(catalog_value(i, 1, &isnull));

		if (partition < range->count)
			range->partitions[partition].start = DatumGetInt64(catalog_value(i, 2, &isnull));
	}
	catalog_leave(&scope);
}

/* Offsets of all partitions by time. */
static KafkaLookup *
look_up(const TopicRange *range, KafkaConsumer *consumer, int64 time)
{
	KafkaLookup *lookups = palloc(sizeof(KafkaLookup) * Max(range->count, 1));

	for (int i = 0; i < range->count; i++)
	{
		lookups[i].partition = i;
		lookups[i].time = time;
	}
	kafka_consumer_look_up(consumer, lookups, range->count);
	return lookups;
}

TopicRange *
topic_range_create(const Stream *stream, KafkaConsumer *consumer)
{
	TopicRange *range = palloc0(sizeof(TopicRange));
	KafkaLookup *ends;

	if (limit_in_force && limit_in_force->stream == stream->relid)
		range->limit = limit_in_force;
	range->count = kafka_consumer_partitions(consumer);
	range->partitions = palloc0(sizeof(TopicPartition) * Max(range->count, 1));
	ends = look_up(range, consumer, KAFKA_LAST);
	for (int i = 0; i < range->count; i++)
	{
		range->partitions[i].end = ends[i].offset;
		range->partitions[i].start = -1;
	}
	pfree(ends);
	if (stream->start_from.kind == START_LATEST)
		start_where_the_stream_did(range, stream);
	else if (stream->start_from.kind != START_EARLIEST)
		for (int i = 0; i < range->count; i++)
			range->partitions[i].start = start_from_find(&stream->start_from, consumer, i);
	return range;
}

/* ---------------------------------------------------------------- what the bounds leave */

static void
raise_beginnings(TopicRange *range, KafkaConsumer *consumer, int64 time)
{
	KafkaLookup *lookups = look_up(range, consumer, time);

	for (int i = 0; i < range->count; i++)
	{
		TopicPartition *partition = &range->partitions[i];

		if (lookups[i].offset >= 0)
			partition->next = Max(partition->next, lookups[i].offset);
		else
			partition->stop = partition->next; /* all are older */
	}
	pfree(lookups);
}

/* The library counts from 1970, and what is not after that has another meaning there. */
static bool
time_in_milliseconds(TimestampTz time, int64 *milliseconds)
{
	if (TIMESTAMP_NOT_FINITE(time))
		return false;
	*milliseconds = time / 1000 - TIME_UNIX_EPOCH / 1000 - 1; /* rounded, and never up */
	return *milliseconds > 0;
}

static void
raise_gone(int32 partition, int64 from, int64 to)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partition %d no longer has the offsets from " INT64_FORMAT " to " INT64_FORMAT,
					partition, from, to),
			 errdetail("The topic's retention has deleted them, or the topic was made anew."),
			 errhint("What is not in the topic any more can only come from an archive.")));
}

static void
apply_limit(TopicRange *range, KafkaConsumer *consumer)
{
	const TopicLimit *limit = range->limit;
	KafkaLookup *first = look_up(range, consumer, KAFKA_FIRST);

	for (int i = 0; i < range->count; i++)
		range->partitions[i].next = range->partitions[i].stop = 0;
	for (int i = 0; i < limit->count; i++)
	{
		int32 id = limit->partitions[i];
		TopicPartition *partition = &range->partitions[id];

		if (limit->from[i] >= limit->to[i])
			continue;
		if (id >= range->count || partition->end < limit->to[i])
			raise_gone(id, id >= range->count ? limit->from[i] : partition->end, limit->to[i] - 1);
		if (first[id].offset > limit->from[i])
			raise_gone(id, limit->from[i], Min(first[id].offset, limit->to[i]) - 1);
		partition->next = limit->from[i];
		partition->stop = limit->to[i];
	}
	pfree(first);
}

static void
apply_bounds(TopicRange *range, KafkaConsumer *consumer, const PushdownBounds *bounds)
{
	const PushdownRange *offsets = &bounds->ranges[PUSHDOWN_OFFSET];
	const PushdownRange *times = &bounds->ranges[PUSHDOWN_TIME];
	int64 time;

	for (int i = 0; i < range->count; i++)
	{
		TopicPartition *partition = &range->partitions[i];

		partition->next = Max(partition->start, offsets->low);
		partition->stop = offsets->high < partition->end ? offsets->high + 1 : partition->end;
		if (!pushdown_takes_partition(bounds, i) || times->low > times->high)
			partition->stop = partition->next;
	}
	raise_beginnings(range, consumer, KAFKA_FIRST);
	if (time_in_milliseconds(times->low, &time))
		raise_beginnings(range, consumer, time);
}

static void
read_from_next(TopicRange *range, KafkaConsumer *consumer)
{
	int32 *ids = palloc(sizeof(int32) * Max(range->count, 1));
	int64 *offsets = palloc(sizeof(int64) * Max(range->count, 1));

	range->reading = 0;
	for (int i = 0; i < range->count; i++)
	{
		TopicPartition *partition = &range->partitions[i];

		partition->reading = partition->next < partition->stop;
		if (!partition->reading)
			continue;
		ids[range->reading] = i;
		offsets[range->reading++] = partition->next;
	}
	kafka_consumer_assign(consumer, ids, offsets, range->reading);
	pfree(ids);
	pfree(offsets);
}

void
topic_range_begin(TopicRange *range, KafkaConsumer *consumer, const PushdownBounds *bounds)
{
	if (range->limit)
		apply_limit(range, consumer);
	else
		apply_bounds(range, consumer, bounds);
	read_from_next(range, consumer);
}

void
topic_range_begin_at(TopicRange *range, KafkaConsumer *consumer)
{
	for (int i = 0; i < range->count; i++)
		range->partitions[i].stop = Min(range->partitions[i].stop, range->partitions[i].end);
	raise_beginnings(range, consumer, KAFKA_FIRST);
	read_from_next(range, consumer);
}

/* ---------------------------------------------------------------- progress */

static void
stop_if_read(TopicRange *range, KafkaConsumer *consumer, int32 id)
{
	TopicPartition *partition = &range->partitions[id];

	if (!partition->reading || partition->next < partition->stop)
		return;
	partition->reading = false;
	range->reading--;
	/* what is behind would take up the room of the other partitions */
	if (range->reading > 0)
		kafka_consumer_pause(consumer, id);
}

void
topic_range_note(TopicRange *range, KafkaConsumer *consumer, const KafkaMessage *message)
{
	TopicPartition *partition = &range->partitions[message->partition];
	int64 next = message->offset + (message->kind == KAFKA_RECORD);

	partition->next = Max(partition->next, next);
	stop_if_read(range, consumer, message->partition);
}

bool
topic_range_holds(const TopicRange *range, const KafkaMessage *message)
{
	return message->kind == KAFKA_RECORD &&
		   message->offset < range->partitions[message->partition].stop;
}

/* Fewer rows without an error would be a wrong result. */
static void
raise_shorter(int32 partition, int64 stop, int64 end)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("partition %d has become shorter while it was read", partition),
			 errdetail("It should be read to offset " INT64_FORMAT
					   ", and ends before offset " INT64_FORMAT ".",
					   stop - 1, end),
			 errhint("The topic may have been deleted and made anew. Run the SELECT again.")));
}

void
topic_range_confirm(const TopicRange *range, KafkaConsumer *consumer)
{
	KafkaLookup *ends = look_up(range, consumer, KAFKA_LAST);

	for (int i = 0; i < range->count; i++)
		if (range->partitions[i].reading && ends[i].offset < range->partitions[i].stop)
			raise_shorter(i, range->partitions[i].stop, ends[i].offset);
	pfree(ends);
}
