/*
 * reader.c - partitions of a topic as a worker reads them: discovery, assignment, idleness.
 *
 * Where the stream stands is in the database; this is a copy of what was committed last, so that the
 * loop knows without a transaction whether there is something to do.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "reader.h"
#include "streamagg.h"

#define DISCOVERY_MS 10000
/* Of the worker's memory for what is read ahead, and again for a batch: the library needs about twice a
 * small record's length beside it, and its row as much again. */
#define RECORDS_SHARE 8
#define NAP_MS 1000
#define CONFIRM_AGAIN_MS 1000
#define ANSWER_MS 3000
#define SILENCE_MS 12000

double
reader_clock(void)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MILLISEC(now);
}

Reader *
reader_open(const Stream *stream, int max_messages)
{
	Reader *reader = MemoryContextAllocZero(TopMemoryContext, sizeof(Reader));
	KafkaConsumerConfig config = {
		.server = stream->server,
		.user = stream->owner,
		.topic = stream->topic,
		.max_messages = max_messages,
		.memory_kb = streamagg_worker_memory / RECORDS_SHARE,
		.far = true,
	};

	reader->leaderless = -1;
	reader->consumer = kafka_consumer_create(&config);
	return reader;
}

/* ---------------------------------------------------------------- assignment */

/* Later partitions are read from their beginning, whatever start_from says of the first. */
static int64
start_offset(Reader *reader, const Stream *stream, int32 partition, bool first_start)
{
	return kafka_consumer_offset(reader->consumer, partition,
								 stream->from_latest && first_start ? KAFKA_LAST : KAFKA_FIRST);
}

static void
refuse_shrunk_topic(const Stream *stream, int known, int found)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("topic \"%s\" has %d partitions, stream \"%s\" has read %d",
						   stream->topic, found, stream->name, known),
					errdetail("A topic never loses partitions: this is another topic of the same "
							  "name."),
					errhint("Drop the stream and make it anew to read the new topic.")));
}

static int
highest_known(const Progress *progress)
{
	return progress->npartitions ? progress->partitions[progress->npartitions - 1].id + 1 : 0;
}

void
reader_assign(Reader *reader, const Stream *stream, Ingest *ingest)
{
	int count = kafka_consumer_partitions(reader->consumer);
	int known = highest_known(ingest->progress);
	int32 *ids = palloc(sizeof(int32) * Max(count, 1));
	int64 *offsets = palloc(sizeof(int64) * Max(count, 1));

	if (count < known)
		refuse_shrunk_topic(stream, known, count);
	reader->partitions =
		reader->partitions
			? repalloc(reader->partitions, sizeof(ReaderPartition) * count)
			: MemoryContextAlloc(TopMemoryContext, sizeof(ReaderPartition) * Max(count, 1));
	for (int32 i = 0; i < count; i++)
	{
		Partition *partition = progress_find(ingest->progress, i);

		if (partition == NULL)
			partition = progress_partition(ingest->progress, i,
										   start_offset(reader, stream, i, known == 0));
		ids[i] = i;
		offsets[i] = partition->next_offset;
		memset(&reader->partitions[i], 0, sizeof(ReaderPartition));
		reader->partitions[i].next_offset = partition->next_offset;
		reader->partitions[i].idle = partition->idle;
		reader->partitions[i].heard = reader_clock();
	}
	reader->count = count;
	reader->all_idle_since = 0;
	reader->heard = reader_clock();
	reader->looked_for_partitions = reader_clock();
	kafka_consumer_assign(reader->consumer, ids, offsets, count);
}

bool
reader_has_grown(Reader *reader)
{
	double now = reader_clock();
	KafkaPulse pulse;

	if (reader->asked == 0 && now - reader->looked_for_partitions < DISCOVERY_MS)
		return false;
	if (reader->asked == 0)
		reader->asked = now;
	if (!kafka_consumer_feel_pulse(reader->consumer, &pulse) || !pulse.is_answered)
		return false;
	reader->asked = 0;
	reader->heard = reader->looked_for_partitions = now;
	reader->leaderless = pulse.leaderless;
	return pulse.partitions > reader->count;
}

/*
 * The library says nothing of a broker that takes everything and answers nothing, nor of partitions
 * without a leader, so the worker looks at what it hears itself.
 */
const char *
reader_trouble(const Reader *reader)
{
	static char text[300];
	const char *trouble = kafka_consumer_trouble(reader->consumer);
	double now = reader_clock();

	if (trouble)
	{
		snprintf(text, sizeof(text), "no broker can be reached: %s", trouble);
		return text;
	}
	if (reader->asked > 0 && now - reader->asked > ANSWER_MS && now - reader->heard > ANSWER_MS)
		return "the brokers do not answer";
	if (reader->leaderless >= 0)
	{
		snprintf(text, sizeof(text), "partition %d has no leader", reader->leaderless);
		return text;
	}
	if (!reader->is_quiet)
		return NULL;
	for (int i = 0; i < reader->count; i++)
		if (!reader->partitions[i].at_end && now - reader->partitions[i].heard > SILENCE_MS)
		{
			snprintf(text, sizeof(text), "nothing comes from partition %d", i);
			return text;
		}
	return NULL;
}

/* ---------------------------------------------------------------- messages */

/* True when the message is something to commit. */
static bool
note_message(Reader *reader, KafkaMessageKind kind, int32 id, int64 offset, double now)
{
	ReaderPartition *partition = &reader->partitions[id];

	partition->heard = now;
	if (kind == KAFKA_RECORD)
	{
		partition->at_end = false;
		return true;
	}
	if (!partition->at_end)
		partition->at_end_since = now;
	partition->at_end = true;
	return offset > partition->next_offset;
}

int
reader_take(Reader *reader)
{
	int count = kafka_consumer_take(reader->consumer);
	int found = count > reader->noted ? READER_TOOK : READER_NOTHING;
	double now = reader_clock();

	reader->is_quiet = found == READER_NOTHING;
	if (found)
		reader->heard = now;
	for (; reader->noted < count; reader->noted++)
	{
		int32 partition;
		int64 offset;
		KafkaMessageKind kind =
			kafka_consumer_place(reader->consumer, reader->noted, &partition, &offset);

		if (partition < reader->count && note_message(reader, kind, partition, offset, now))
			found |= READER_COMMITTABLE;
	}
	return found;
}

bool
reader_is_at_end(const Reader *reader)
{
	for (int i = 0; i < reader->count; i++)
		if (!reader->partitions[i].at_end)
			return false;
	return true;
}

void
reader_release(Reader *reader)
{
	kafka_consumer_release(reader->consumer);
	reader->noted = 0;
}

/* ---------------------------------------------------------------- idleness */

static bool
is_due(const ReaderPartition *partition, const Stream *stream, double now)
{
	return partition->at_end && !partition->idle &&
		   now - partition->at_end_since >= stream->idle_timeout / 1000.0;
}

bool
reader_finds_idle(Reader *reader, const Stream *stream)
{
	double now = reader_clock();

	for (int i = 0; i < reader->count; i++)
	{
		ReaderPartition *partition = &reader->partitions[i];
		int64 end;

		if (!is_due(partition, stream, now))
			continue;
		if (kafka_consumer_peek_end(reader->consumer, i, &end) && end <= partition->next_offset)
			return true;
		/* no broker says so: not idle for what we know; ask again soon */
		partition->at_end_since = now - stream->idle_timeout / 1000.0 + CONFIRM_AGAIN_MS;
	}
	return false;
}

void
reader_mark_idle(Reader *reader, Ingest *ingest, const Stream *stream)
{
	double now = reader_clock();

	for (int i = 0; i < reader->count; i++)
	{
		Partition *partition = progress_find(ingest->progress, i);

		if (partition == NULL || !is_due(&reader->partitions[i], stream, now))
			continue;
		partition->idle = true;
		partition->touched = true;
	}
}

bool
reader_closes_all(const Reader *reader, const Stream *stream)
{
	return reader->all_idle_since > 0 && reader->closing < reader->highest &&
		   reader_clock() - reader->all_idle_since >= stream->close_after / 1000.0;
}

long
reader_next_look(const Reader *reader, const Stream *stream)
{
	double now = reader_clock();
	double nap = NAP_MS;

	for (int i = 0; i < reader->count; i++)
	{
		const ReaderPartition *partition = &reader->partitions[i];

		if (partition->at_end && !partition->idle)
			nap = Min(nap, partition->at_end_since + stream->idle_timeout / 1000.0 - now);
	}
	if (reader->all_idle_since > 0 && reader->closing < reader->highest)
		nap = Min(nap, reader->all_idle_since + stream->close_after / 1000.0 - now);
	return Max((long) nap + 1, 1);
}

void
reader_committed_prepare(Reader *reader, const Progress *progress, TimestampTz closing)
{
	bool all_idle = progress->npartitions > 0;

	reader->closing = closing;
	reader->batch = progress->batch;
	reader->highest = DT_NOBEGIN;
	for (int i = 0; i < progress->npartitions; i++)
	{
		const Partition *partition = &progress->partitions[i];

		reader->highest = Max(reader->highest, partition->max_event_time);
		all_idle = all_idle && partition->idle;
		if (partition->id >= reader->count)
			continue;
		reader->partitions[partition->id].next_offset = partition->next_offset;
		reader->partitions[partition->id].idle = partition->idle;
	}
	if (!all_idle)
		reader->all_idle_since = 0;
	else if (reader->all_idle_since == 0)
		reader->all_idle_since = reader_clock();
}
