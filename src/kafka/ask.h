/*
 * ask.h - a question to the brokers that may take long; for the files of kafka/ only.
 */
#ifndef STREAMAGG_KAFKA_ASK_H
#define STREAMAGG_KAFKA_ASK_H

#include "client.h"

/* Partitions of a topic, or of some the offsets by time. */
typedef struct KafkaAsk
{
	rd_kafka_resp_err_t error; /* once it is answered */
	int partitions;			   /* how many; -1 unknown */
	int leaderless;			   /* the first that has no leader; -1 none */
	rd_kafka_topic_partition_list_t *offsets;
	/* of ask.c */
	rd_kafka_t *client;
	int timeout_ms;
	pthread_t thread;
	bool answered;
	struct KafkaAsk *next;
	char topic[256];
} KafkaAsk;

/* offsets may be NULL; they belong to the question.  Errors: 53000 no thread. */
extern KafkaAsk *kafka_ask(rd_kafka_t *client, const char *topic,
						   rd_kafka_topic_partition_list_t *offsets, int timeout_ms);

/* Whether it is answered by now, or within some milliseconds. */
extern bool kafka_ask_is_answered(KafkaAsk *ask, int milliseconds);

/*
 * Waits for the answer, serving interrupts and callbacks; gives up early when credentials are refused.
 * What is not answered stays until the client ends.
 */
extern rd_kafka_resp_err_t kafka_ask_wait(KafkaAsk *ask, const KafkaTrouble *trouble);

/* An answered question is over. */
extern void kafka_ask_free(KafkaAsk *ask);

/* For the end of a client: its open questions, which no longer belong to this list. */
extern KafkaAsk *kafka_ask_take_open(rd_kafka_t *client);
/* In a thread of its own: waits for all of them, and frees them. */
extern void kafka_ask_join(KafkaAsk *asks);

#endif
