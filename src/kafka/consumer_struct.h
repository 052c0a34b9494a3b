/*
 * consumer_struct.h - what a consumer is; for consumer.c and pulse.c only.
 */
#ifndef STREAMAGG_KAFKA_CONSUMER_STRUCT_H
#define STREAMAGG_KAFKA_CONSUMER_STRUCT_H

#include "ask.h"
#include "client.h"
#include "kafka/consumer.h"

#define KAFKA_PATIENCE_MS 10000

struct KafkaConsumer
{
	MemoryContext context; /* holds this and the messages' array */
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t *topic;
	int event_fd;
	int capacity;
	int limit; /* no more than these of them */
	int count;
	int64 bytes; /* of the messages taken */
	int64 max_bytes;
	rd_kafka_message_t **messages;
	rd_kafka_message_t *failure; /* that is being raised: the library counts it until it is freed */
	KafkaTrouble trouble;
	bool far;
	KafkaAsk *pulse;   /* that is asked */
	int unknown_topic; /* answers in a row that there is none, or that it is not ours */
};

/* Asks for a slice at the most, or, where brokers may be far, until there is an answer. */
extern rd_kafka_resp_err_t kafka_consumer_ask_partitions(KafkaConsumer *consumer, int *count);

/* Raises what a broker, or the connection to it, says of the topic. */
extern void kafka_consumer_raise(const KafkaConsumer *consumer, rd_kafka_resp_err_t error)
	pg_attribute_noreturn();

#endif
