/*
 * start_from.c - earliest, latest, a time, or offsets of some partitions (the others from their first).
 *
 * A time without a zone is UTC, as everywhere in streamagg: what a stream reads must not depend on the
 * TimeZone of who made it.
 */
#include "postgres.h"

#include "decode/time.h"
#include "kafka/consumer.h"
#include "start_from.h"
#include "streamagg.h"

bool
start_from_milliseconds(TimestampTz time, int64 *milliseconds)
{
	if (TIMESTAMP_NOT_FINITE(time))
		return false;
	/* rounded up: records from this time on */
	*milliseconds = (time - TIME_UNIX_EPOCH + 999) / 1000;
	return *milliseconds > 0;
}

bool
start_from_parse(const char *value, StartFrom *start)
{
	TimestampTz time;

	memset(start, 0, sizeof(*start));
	if (strcmp(value, "earliest") == 0)
		return true;
	start->kind = START_LATEST;
	if (strcmp(value, "latest") == 0)
		return true;
	start->kind = START_OFFSETS;
	if (*value == '{')
		return offsets_parse(value, &start->offsets);
	start->kind = START_TIME;
	return time_parse_iso(value, strlen(value), &time) == 0 &&
		   start_from_milliseconds(time, &start->time);
}

void
start_from_require(KafkaConsumer *consumer, int32 partition, int64 offset)
{
	int64 first = kafka_consumer_offset(consumer, partition, KAFKA_FIRST);
	int64 end = kafka_consumer_offset(consumer, partition, KAFKA_LAST);

	if (offset < first || offset > end)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("partition %d has no offset " INT64_FORMAT, partition, offset),
						errdetail("It can be read from offset " INT64_FORMAT
								  ", and ends at offset " INT64_FORMAT ".",
								  first, end)));
}

int64
start_from_find(const StartFrom *start, KafkaConsumer *consumer, int32 partition)
{
	StartKind kind = start ? start->kind : START_EARLIEST;
	int64 found;

	if (kind == START_LATEST)
		return kafka_consumer_offset(consumer, partition, KAFKA_LAST);
	if (kind == START_TIME)
	{
		found = kafka_consumer_offset(consumer, partition, start->time);
		return found >= 0 ? found : kafka_consumer_offset(consumer, partition, KAFKA_LAST);
	}
	for (int i = 0; kind == START_OFFSETS && i < start->offsets.count; i++)
		if (start->offsets.partitions[i] == partition)
			return start->offsets.offsets[i];
	return kafka_consumer_offset(consumer, partition, KAFKA_FIRST);
}
