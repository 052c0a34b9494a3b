/*
 * recover.c - what becomes of a partition that gives no more: its log was cut, deleted or replaced, or
 * a batch of it cannot be read.
 *
 * Reading goes on, in a new process with a client of its own (messages of before are still in the
 * library's queue, and those behind a hole would look like a gap), where that loses nothing, where the stream's on_data_loss says 'skip', and where
 * skip() has said so.  Everything else is an error that names the offsets and the command that accepts
 * the loss: an offset is never reset.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "gap.h"
#include "recover.h"
#include "streamagg.h"

typedef struct Lost
{
	KafkaFailure failure;
	int64 first; /* offset to go on at, when that is behind next_offset */
} Lost;

struct Recovery
{
	const Stream *stream;
	int count;
	Lost lost[FLEXIBLE_ARRAY_MEMBER];
};

/* ---------------------------------------------------------------- errors */

static char *
place(const Stream *stream, int32 partition)
{
	return psprintf("stream \"%s\", topic \"%s\" partition %d", stream->name, stream->topic,
					partition);
}

/* As an argument of our functions. */
static char *
quoted_name(const Stream *stream)
{
	return quote_literal_cstr(quote_identifier(stream->name));
}

/* The command that goes on at an offset, for hints. */
static char *
seek_command(const Stream *stream, int32 partition, int64 offset)
{
	char *name = quoted_name(stream);

	return psprintf("SELECT streamagg.seek(%s, '{\"%d\": " INT64_FORMAT "}'), streamagg.start(%s);",
					name, partition, offset, name);
}

void
recover_raise_replaced(const Stream *stream, int32 partition, int64 offset)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("%s offset " INT64_FORMAT ": the record there is not the one that was read",
					place(stream, partition), offset),
			 errdetail("The log was cut and has grown again, or the topic was made anew."),
			 errhint("To go on from where the new records begin: %s",
					 seek_command(stream, partition, 0))));
}

void
recover_raise_beyond(const Stream *stream, int32 partition, int64 next, int64 end)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("%s was read up to offset " INT64_FORMAT ", and ends at offset " INT64_FORMAT,
					place(stream, partition), next, end),
			 errdetail("The log was cut, or the topic was made anew."),
			 errhint("To go on at its end: %s", seek_command(stream, partition, end))));
}

static void
raise_lost(const Stream *stream, int32 partition, int64 next, int64 first)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
					errmsg("%s: offsets [" INT64_FORMAT ", " INT64_FORMAT
						   ") were deleted before they were read",
						   place(stream, partition), next, first),
					errhint("To accept the loss: %s With on_data_loss 'skip' the stream goes on by "
							"itself.",
							seek_command(stream, partition, first))));
}

static void
raise_unreadable(const Stream *stream, const KafkaFailure *failure, int64 offset)
{
	ereport(ERROR, (errcode(failure->code),
					errmsg("%s offset " INT64_FORMAT ": the records there cannot be read",
						   place(stream, failure->partition), offset),
					errdetail("%s.", failure->text),
					errhint("To pass them over: SELECT streamagg.skip(%s, %d, " INT64_FORMAT
							", 'reason'), streamagg.start(%s);",
							quoted_name(stream), failure->partition, offset, quoted_name(stream))));
}

/* ---------------------------------------------------------------- outside a transaction */

/* The record that is to be seen again is gone, or stands before what was skipped. */
static bool
is_about_last(const KafkaFailure *failure, const Fingerprint *last, int64 next_offset)
{
	return last->offset >= 0 && failure->offset < next_offset;
}

/* Asks the brokers, and raises what no transaction is needed for. */
static void
look_at(Lost *lost, Reader *reader, const Stream *stream)
{
	int32 id = lost->failure.partition;
	const ReaderPartition *partition = &reader->partitions[id];
	int64 end;

	lost->first = partition->next_offset;
	if (lost->failure.kind == KAFKA_UNREADABLE ||
		is_about_last(&lost->failure, &partition->last, partition->next_offset))
		return;
	lost->first = kafka_consumer_offset(reader->consumer, id, KAFKA_FIRST);
	end = kafka_consumer_offset(reader->consumer, id, KAFKA_LAST);
	if (end < partition->next_offset)
		recover_raise_beyond(stream, id, partition->next_offset, end);
	if (lost->first > partition->next_offset && !stream->skips_lost)
		raise_lost(stream, id, partition->next_offset, lost->first);
	if (lost->first <= partition->next_offset)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("%s offset " INT64_FORMAT ": the broker did not have it, and has it now",
						place(stream, id), partition->next_offset)));
}

Recovery *
recover_look(Reader *reader, const Stream *stream)
{
	int count = kafka_consumer_failures(reader->consumer);
	Recovery *recovery = palloc(offsetof(Recovery, lost) + sizeof(Lost) * count);

	recovery->stream = stream;
	recovery->count = count;
	for (int i = 0; i < count; i++)
	{
		Lost *lost = &recovery->lost[i];

		lost->failure = kafka_consumer_failure(reader->consumer, i);
		if (lost->failure.kind == KAFKA_BROKEN || lost->failure.partition < 0 ||
			lost->failure.partition >= reader->count)
			kafka_consumer_raise_failure(reader->consumer, i);
		look_at(lost, reader, stream);
	}
	return recovery;
}

/* ---------------------------------------------------------------- inside one */

static void
pass_unreadable(const Lost *lost, const Stream *stream, Ingest *ingest, Partition *partition)
{
	int64 offset = Max(lost->failure.offset, partition->next_offset);
	const Skip *skip = gap_find_skip(ingest->progress, partition->id, offset);

	if (skip == NULL)
		raise_unreadable(stream, &lost->failure, offset);
	ingest_reach(ingest, partition->id, offset);
	gap_pass(ingest->progress, partition, skip->next, GAP_SKIPPED, skip->reason);
}

void
recover_write(const Recovery *recovery, Ingest *ingest)
{
	for (int i = 0; i < recovery->count; i++)
	{
		const Lost *lost = &recovery->lost[i];
		Partition *partition = progress_find(ingest->progress, lost->failure.partition);

		if (!is_about_last(&lost->failure, &partition->last, partition->next_offset))
		{
			if (lost->failure.kind == KAFKA_UNREADABLE)
				pass_unreadable(lost, recovery->stream, ingest, partition);
			gap_pass(ingest->progress, partition, lost->first, GAP_LOST,
					 "deleted before they were read");
		}
		/* what is before next_offset is not to be read any more */
		partition->last.offset = -1;
		partition->touched = true;
	}
}
