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

#include "event.h"
#include "reader.h"
#include "recover.h"
#include "start_from.h"
#include "streamagg.h"

#define PINNED_MS 1000
#define SHORT_MS 5000
/* Of the worker's memory for what is read ahead, and again for a batch: the library needs about twice a
 * small record's length beside it, and its row as much again. */
#define RECORDS_SHARE 8
#define NAP_MS 1000
#define CONFIRM_AGAIN_MS 1000

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
	KafkaConsumerConfig config = {.server = stream->server,
								  .user = stream->owner,
								  .topic = stream->topic,
								  .max_messages = max_messages,
								  .memory_kb = streamagg_worker_memory / RECORDS_SHARE,
								  .far = true,
								  .cautious = true};

	reader->leaderless = -1;
	reader->consumer = kafka_consumer_create(&config);
	return reader;
}

/* ---------------------------------------------------------------- assignment */

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

static void
copy_committed(ReaderPartition *to, const Partition *from)
{
	to->next_offset = from->next_offset;
	to->high_offset = from->high_offset;
	to->last = from->last;
	to->idle = from->idle;
	to->last_number = -1;
	to->is_confirmed = false;
}

void
reader_look_again(Reader *reader)
{
	int32 *ids = palloc(sizeof(int32) * Max(reader->count, 1));
	int64 *offsets = palloc(sizeof(int64) * Max(reader->count, 1));

	for (int32 i = 0; i < reader->count; i++)
	{
		ReaderPartition *partition = &reader->partitions[i];

		ids[i] = i;
		/* where its last record is seen again */
		offsets[i] = partition->last.offset >= 0 ? partition->last.offset : partition->next_offset;
	}
	kafka_consumer_assign(reader->consumer, ids, offsets, reader->count);
	pfree(ids);
	pfree(offsets);
}

static int64
start_offset(Reader *reader, const StartFrom *start, int32 partition)
{
	int64 offset = start_from_find(start, reader->consumer, partition);

	if (start && start->kind == START_OFFSETS)
		start_from_require(reader->consumer, partition, offset);
	return offset;
}

/* What came while nobody looked is not known: it is idle once this process has seen that it is. */
static void
make_active(Partition *partition)
{
	partition->touched = partition->touched || partition->idle;
	partition->idle = false;
}

void
reader_assign(Reader *reader, const Stream *stream, Ingest *ingest)
{
	int count = kafka_consumer_partitions(reader->consumer);
	int known = highest_known(ingest->progress);
	bool is_first = reader->partitions == NULL;

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
			partition = progress_partition(
				ingest->progress, i,
				start_offset(reader, known == 0 ? &stream->start_from : NULL, i));
		if (is_first)
			make_active(partition);
		memset(&reader->partitions[i], 0, sizeof(ReaderPartition));
		copy_committed(&reader->partitions[i], partition);
		reader->partitions[i].heard = reader_clock();
	}
	if (count > known && known > 0)
		event_log(stream->relid, "partitions",
				  psprintf("topic \"%s\" has %d, had %d", stream->topic, count, known));
	reader->count = count;
	reader->missing = 0;
	reader->all_idle_since = 0;
	reader->heard = reader_clock();
	reader->looked_for_partitions = reader_clock();
	reader_look_again(reader);
}

/* ---------------------------------------------------------------- open transactions */

/* Read to the end of what is committed, with more behind it. */
static bool
is_pinned(const Reader *reader, int id, int64 *high)
{
	const ReaderPartition *partition = &reader->partitions[id];

	if (!partition->at_end || reader_clock() - partition->at_end_since < PINNED_MS)
		return false;
	*high = kafka_consumer_high_offset(reader->consumer, id);
	return *high > partition->next_offset;
}

bool
reader_is_pinned(const Reader *reader)
{
	int64 high;

	for (int i = 0; i < reader->count; i++)
		if (is_pinned(reader, i, &high) && high > reader->partitions[i].high_offset)
			return true;
	return false;
}

void
reader_tell_waiting(const Reader *reader, char *text, size_t size)
{
	int64 high;

	*text = '\0';
	for (int i = 0; i < reader->count && *text == '\0'; i++)
		if (is_pinned(reader, i, &high))
			snprintf(text, size,
					 "partition %d waits at offset " INT64_FORMAT
					 " for an open transaction of a producer",
					 i, reader->partitions[i].next_offset);
}

/* ---------------------------------------------------------------- messages */

/*
 * The last record that was read, seen again when the partition was assigned.  When it is not there any
 * more (retention, compaction) nothing is said.
 */
static void
compare_last(const Reader *reader, const Stream *stream, int number)
{
	KafkaMessage message;
	Fingerprint found;

	kafka_consumer_message(reader->consumer, number, &message);
	fingerprint_make(stream->quarantine_key, &message, &found);
	if (fingerprint_differs(&reader->partitions[message.partition].last, &found))
		recover_raise_replaced(stream, message.partition, message.offset);
}

/* Whether the log ends before what was read: not where the library waits for a transaction. */
static bool
is_too_short(const Reader *reader, int32 id, int64 *high)
{
	*high = kafka_consumer_high_offset(reader->consumer, id);
	return *high >= 0 && *high < reader->partitions[id].next_offset;
}

/* A new leader may not know for a moment how far its log is read: what stays so is believed. */
static void
raise_if_short(Reader *reader, const Stream *stream)
{
	int64 high;

	for (int i = 0; i < reader->count; i++)
	{
		ReaderPartition *partition = &reader->partitions[i];

		if (partition->short_since == 0 || reader_clock() - partition->short_since < SHORT_MS)
			continue;
		if (is_too_short(reader, i, &high))
			recover_raise_beyond(stream, i, partition->next_offset, high);
		partition->short_since = 0;
	}
}

/* True when the message is something to commit. */
static bool
note_message(Reader *reader, const Stream *stream, int number, double now)
{
	int32 id;
	int64 offset;
	int64 high;
	KafkaMessageKind kind = kafka_consumer_place(reader->consumer, number, &id, &offset);
	ReaderPartition *partition = &reader->partitions[id];

	if (id >= reader->count)
		return false;
	partition->heard = now;
	if (kind == KAFKA_RECORD)
	{
		if (offset >= partition->next_offset)
		{
			partition->at_end = partition->is_confirmed = false;
			partition->last_number = number;
			return true;
		}
		if (offset == partition->last.offset)
			compare_last(reader, stream, number);
		return false;
	}
	if (offset < partition->next_offset && is_too_short(reader, id, &high))
		partition->short_since = reader_clock();
	if (!partition->at_end)
		partition->at_end_since = now;
	partition->at_end = true;
	return offset > partition->next_offset;
}

int
reader_take(Reader *reader, const Stream *stream)
{
	int count = kafka_consumer_take(reader->consumer);
	int found = count > reader->noted ? READER_TOOK : READER_NOTHING;
	double now = reader_clock();

	reader->is_quiet = found == READER_NOTHING;
	if (found)
		reader->heard = now;
	for (; reader->noted < count; reader->noted++)
		if (note_message(reader, stream, reader->noted, now))
			found |= READER_COMMITTABLE;
	raise_if_short(reader, stream);
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
reader_note_ends(const Reader *reader, const Stream *stream, Progress *progress)
{
	for (int i = 0; i < reader->count; i++)
	{
		Partition *partition = progress_find(progress, i);
		int64 high;
		KafkaMessage message;

		if (partition == NULL)
			continue;
		if (is_pinned(reader, i, &high) && high > partition->high_offset)
			partition->touched = true;
		if (partition->touched)
			partition->high_offset = Max(kafka_consumer_high_offset(reader->consumer, i), 0);
		if (reader->partitions[i].last_number < 0)
			continue;
		kafka_consumer_message(reader->consumer, reader->partitions[i].last_number, &message);
		fingerprint_make(stream->quarantine_key, &message, &partition->last);
	}
}

void
reader_release(Reader *reader)
{
	kafka_consumer_release(reader->consumer);
	reader->noted = 0;
	for (int i = 0; i < reader->count; i++)
		reader->partitions[i].last_number = -1;
}

/* ---------------------------------------------------------------- idleness */

static bool
is_due(const ReaderPartition *partition, const Stream *stream, double now)
{
	return partition->at_end && !partition->idle &&
		   now - partition->at_end_since >= stream->idle_timeout / 1000.0;
}

/* The partitions that are due; there is room for all. */
static int
find_due(const Reader *reader, const Stream *stream, KafkaLookup *lookups)
{
	double now = reader_clock();
	int count = 0;
	int64 high;

	for (int i = 0; i < reader->count; i++)
	{
		if (!is_due(&reader->partitions[i], stream, now) || is_pinned(reader, i, &high))
			continue;
		lookups[count].partition = i;
		lookups[count++].time = KAFKA_LAST;
	}
	return count;
}

/* Where no broker says so a partition is not idle for what we know; it is asked for again soon. */
static bool
confirm(Reader *reader, const Stream *stream, const KafkaLookup *lookup, bool known)
{
	ReaderPartition *partition = &reader->partitions[lookup->partition];

	partition->is_confirmed = known && lookup->offset <= partition->next_offset;
	if (!partition->is_confirmed)
		partition->at_end_since = reader_clock() - stream->idle_timeout / 1000.0 + CONFIRM_AGAIN_MS;
	return partition->is_confirmed;
}

/*
 * All are asked for at once.  One without a broker keeps the others from an answer; and where the library
 * had to look for the leaders first, the slice was over: then one by one, up to the first without.
 */
bool
reader_finds_idle(Reader *reader, const Stream *stream)
{
	KafkaLookup *lookups = palloc(sizeof(KafkaLookup) * Max(reader->count, 1));
	int count = find_due(reader, stream, lookups);
	bool known = count > 0 && kafka_consumer_peek(reader->consumer, lookups, count);
	bool found = false;

	for (int i = 0; i < count; i++)
	{
		bool one_known = known || kafka_consumer_peek(reader->consumer, &lookups[i], 1);

		found |= confirm(reader, stream, &lookups[i], one_known);
		if (!one_known)
			break;
	}
	pfree(lookups);
	return found;
}

void
reader_mark_idle(Reader *reader, Ingest *ingest, const Stream *stream)
{
	double now = reader_clock();
	int64 high;

	for (int i = 0; i < reader->count; i++)
	{
		Partition *partition = progress_find(ingest->progress, i);

		if (partition == NULL || !reader->partitions[i].is_confirmed ||
			!is_due(&reader->partitions[i], stream, now) || is_pinned(reader, i, &high))
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

		if (partition->at_end && !partition->idle &&
			partition->at_end_since + stream->idle_timeout / 1000.0 > now)
			nap = Min(nap, partition->at_end_since + stream->idle_timeout / 1000.0 - now);
	}
	if (reader->all_idle_since > 0 && reader->closing < reader->highest)
		nap = Min(nap, reader->all_idle_since + stream->close_after / 1000.0 - now);
	return Max((long) nap + 1, 1);
}

void
reader_fence(const Reader *reader, const Ingest *ingest)
{
	if (ingest->progress->batch != reader->batch)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("stream \"%s\" was written by another process", ingest->stream->name)));
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
		copy_committed(&reader->partitions[partition->id], partition);
	}
	if (!all_idle)
		reader->all_idle_since = 0;
	else if (reader->all_idle_since == 0)
		reader->all_idle_since = reader_clock();
}
