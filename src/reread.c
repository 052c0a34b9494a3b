/*
 * reread.c - reads records by partition and offset, those of the quarantine.
 *
 * Places that lie near each other are read in one go with what is between them.  A round reads one such
 * stretch of each partition, by a consumer of its own: one that has read turns to other offsets only
 * when its last fetch has timed out.  It judges nothing; who calls it: retry.c.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "fdw/topic_range.h"
#include "message.h"
#include "reread.h"
#include "streamagg.h"

#define NEAR 20000 /* offsets, read in less time than a consumer takes to connect */
#define MAX_MESSAGES 4096
#define READ_AHEAD 50000
#define READ_AHEAD_KB (16 * 1024)
#define SLICE_MS 200
#define SILENCE_MS 2000

typedef struct Reread
{
	const Stream *stream;
	const RereadPlace *places;
	int count;
	RereadTake take;
	void *argument;
	MemoryContext context; /* its end is the consumer's */
	MemoryContextCallback on_end;
	KafkaConsumer *consumer; /* of the round; NULL between two */
	TopicRange *range;
	TimestampTz heard; /* when a message came */
} Reread;

static void
close_consumer(void *argument)
{
	Reread *work = argument;

	if (work->consumer)
		kafka_consumer_destroy(work->consumer);
	work->consumer = NULL;
}

static void
open_consumer(Reread *work)
{
	KafkaConsumerConfig config = {.server = work->stream->server,
								  .user = work->stream->owner,
								  .topic = work->stream->topic,
								  .max_messages = MAX_MESSAGES,
								  .memory_kb = READ_AHEAD_KB,
								  .read_ahead = READ_AHEAD};

	work->consumer = kafka_consumer_create(&config);
	if (work->range == NULL)
		work->range = topic_range_create(work->stream, work->consumer);
	work->heard = GetCurrentTimestamp();
}

/* ---------------------------------------------------------------- stretches */

/* The first place that is not before this one. */
static int
search(const Reread *work, int32 partition, int64 offset)
{
	int low = 0;
	int high = work->count;

	while (low < high)
	{
		int middle = (low + high) / 2;
		const RereadPlace *place = &work->places[middle];

		if (place->partition < partition ||
			(place->partition == partition && place->offset < offset))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The next stretch of the partition, from its place of this number on; the place behind it. */
static int
choose_stretch(const Reread *work, TopicPartition *partition, int first)
{
	const RereadPlace *places = work->places;
	int last = first;

	while (last + 1 < work->count && places[last + 1].partition == places[first].partition &&
		   places[last + 1].offset - places[last].offset <= NEAR)
		last++;
	partition->next = places[first].offset;
	partition->stop = places[last].offset + 1;
	return last + 1;
}

/* The next stretch of each partition; false when none is left.  next: the places that are due. */
static bool
choose_round(const Reread *work, int *next)
{
	bool found = false;

	for (int i = 0; i < work->range->count; i++)
	{
		TopicPartition *partition = &work->range->partitions[i];

		partition->next = partition->stop = 0;
		if (next[i] == work->count || work->places[next[i]].partition != i)
			continue;
		next[i] = choose_stretch(work, partition, next[i]);
		found = true;
	}
	return found;
}

/* ---------------------------------------------------------------- reading */

static void
take_message(Reread *work, int number)
{
	KafkaMessage message;
	Record record;
	int place;

	kafka_consumer_message(work->consumer, number, &message);
	if (topic_range_holds(work->range, &message))
	{
		place = search(work, message.partition, message.offset);
		if (place < work->count && work->places[place].partition == message.partition &&
			work->places[place].offset == message.offset)
		{
			message_to_record(work->stream, work->consumer, number, &message, &record);
			work->take(&record, place, work->argument);
		}
	}
	topic_range_note(work->range, work->consumer, &message);
}

/* Until something may have come, or a slice is over. */
static void
wait_for_messages(Reread *work)
{
	kafka_consumer_nudge(work->consumer, work->range->count);
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 kafka_consumer_socket(work->consumer), SLICE_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	kafka_consumer_drain_socket(work->consumer);
	if (!TimestampDifferenceExceeds(work->heard, GetCurrentTimestamp(), SILENCE_MS))
		return;
	topic_range_confirm(work->range, work->consumer);
	work->heard = GetCurrentTimestamp();
}

static void
read_round(Reread *work)
{
	topic_range_begin_at(work->range, work->consumer);
	while (work->range->reading > 0)
	{
		int count = kafka_consumer_take(work->consumer);

		for (int i = 0; i < count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			take_message(work, i);
		}
		kafka_consumer_release(work->consumer);
		if (count > 0)
			work->heard = GetCurrentTimestamp();
		else
			wait_for_messages(work);
	}
}

void
reread(const Stream *stream, const RereadPlace *places, int count, RereadTake take, void *argument)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg reread", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Reread *work = palloc0(sizeof(Reread));
	int *next;

	*work = (Reread){stream, places, count, take, argument, context};
	work->on_end.func = close_consumer;
	work->on_end.arg = work;
	MemoryContextRegisterResetCallback(context, &work->on_end);
	open_consumer(work);
	next = palloc(sizeof(int) * Max(work->range->count, 1));
	for (int i = 0; i < work->range->count; i++)
		next[i] = search(work, i, 0);
	while (choose_round(work, next))
	{
		if (work->consumer == NULL)
			open_consumer(work);
		read_round(work);
		close_consumer(work);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
