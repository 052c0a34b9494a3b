/*
 * start_from.h - where a stream begins to read: its option start_from.
 */
#ifndef STREAMAGG_START_FROM_H
#define STREAMAGG_START_FROM_H

#include "datatype/timestamp.h"
#include "offsets.h"

typedef enum StartKind
{
	START_EARLIEST,
	START_LATEST,
	START_TIME,
	START_OFFSETS
} StartKind;

typedef struct StartFrom
{
	StartKind kind;
	int64 time; /* ms since 1970 */
	Offsets offsets;
} StartFrom;

struct KafkaConsumer;

/* Into the current context; false when it is none of these. */
extern bool start_from_parse(const char *value, StartFrom *start);

/*
 * The offset of a partition to begin at, from the brokers; NULL: its first.  A given one may be before
 * the first or behind the end.  Errors: those of kafka/consumer.h.
 */
extern int64
start_from_find(const StartFrom *start, struct KafkaConsumer *consumer, int32 partition);

/* Raises 22023 unless the partition has that offset, or ends there. */
extern void start_from_require(struct KafkaConsumer *consumer, int32 partition, int64 offset);

/* Milliseconds since 1970 as Kafka counts them, never later; false when Kafka cannot look for it. */
extern bool start_from_milliseconds(TimestampTz time, int64 *milliseconds);

#endif
