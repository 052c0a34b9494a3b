/*
 * consumer_parts.h - what a consumer is made of; for consumer.c and questions.c only.
 */
#ifndef STREAMAGG_KAFKA_CONSUMER_PARTS_H
#define STREAMAGG_KAFKA_CONSUMER_PARTS_H

#include "client.h"
#include "kafka/consumer.h"

struct KafkaConsumer
{
	MemoryContext context; /* holds this and the messages' array */
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t *topic;
	int event_fd;
	int capacity;
	int count;
	int64 bytes; /* of the messages taken */
	int64 max_bytes;
	rd_kafka_message_t **messages;
	rd_kafka_message_t *
		*failures; /* the first of each partition: the library counts them until they are freed */
	int nfailures;
	int max_failures;
	bool cautious;
	int disturbances; /* of trouble, as of the last assignment */
	KafkaTrouble trouble;
};

/* Raises what a question about the topic came to. */
extern void kafka_consumer_raise_for_topic(const KafkaConsumer *consumer, rd_kafka_resp_err_t error)
	pg_attribute_noreturn();

/* See failures.c. */
extern void kafka_consumer_keep_failure(KafkaConsumer *consumer, rd_kafka_message_t *message);
extern bool kafka_consumer_has_failed(const KafkaConsumer *consumer, int32 partition);
extern void kafka_consumer_forget_failures(KafkaConsumer *consumer);

#endif
