/*
 * topic_range.h - which offsets of which partitions a SELECT reads, and how far it is.
 */
#ifndef STREAMAGG_TOPIC_RANGE_H
#define STREAMAGG_TOPIC_RANGE_H

#include "fdw/pushdown.h"
#include "kafka/consumer.h"
#include "stream.h"

typedef struct TopicPartition
{
	int64 start; /* of start_from; -1: the first that can be read */
	int64 end;	 /* of the topic when the scan began */
	int64 next;	 /* to be read */
	int64 stop;	 /* the first that is not to be read */
	bool reading;
} TopicPartition;

/* Offsets that scans of a stream read whatever start_from and conditions say; of other partitions none. */
typedef struct TopicLimit
{
	Oid stream;
	int count;
	int32 *partitions;
	int64 *from;
	int64 *to;		/* the first that is not read */
	int64 accepted; /* the rows that they found, counted by the scans */
} TopicLimit;

typedef struct TopicRange
{
	TopicLimit *limit; /* NULL: none */
	int count;
	TopicPartition *partitions;
	int reading; /* partitions that are not read to their stop */
} TopicRange;

/*
 * The partitions of the topic with their ends now, in the current context.  Errors of this and of all
 * that follow: those of kafka/consumer.h.
 */
extern TopicRange *topic_range_create(const Stream *stream, KafkaConsumer *consumer);

/*
 * Begins to read what lies within the bounds, by a consumer that has not read yet; again: from the
 * beginning, to the same ends.
 */
extern void
topic_range_begin(TopicRange *range, KafkaConsumer *consumer, const PushdownBounds *bounds);

/*
 * Likewise, where the caller has set next and stop of each partition: of what lies between them, what is
 * still there.
 */
extern void topic_range_begin_at(TopicRange *range, KafkaConsumer *consumer);

/*
 * Puts a limit in force, NULL: none; returns the one before.  Scans raise 55000 when some of its offsets
 * cannot be read any more.
 */
extern TopicLimit *topic_range_set_limit(TopicLimit *limit);

/* How far a message that was taken brings its partition. */
extern void
topic_range_note(TopicRange *range, KafkaConsumer *consumer, const KafkaMessage *message);

/* Whether the message is one of those to be read. */
extern bool topic_range_holds(const TopicRange *range, const KafkaMessage *message);

/*
 * When nothing has come for a while: raises 08006 when no broker answers, 22000 when what is to be read is
 * not there any more.
 */
extern void topic_range_confirm(const TopicRange *range, KafkaConsumer *consumer);

#endif
