/*
 * producer.h - writes records to one topic, each confirmed by all in-sync replicas.
 */
#ifndef STREAMAGG_KAFKA_PRODUCER_H
#define STREAMAGG_KAFKA_PRODUCER_H

typedef struct KafkaProducer KafkaProducer;

typedef struct KafkaProducerConfig
{
	Oid server;
	Oid user;
	const char *topic;		 /* copied */
	int64 max_message_bytes; /* of a record's value */
} KafkaProducerConfig;

typedef struct KafkaHeader
{
	const char *name;
	const char *value; /* NULL: none */
	size_t length;
} KafkaHeader;

#define KAFKA_ANY_PARTITION (-1)
#define KAFKA_NOW 0

/* Copied by kafka_producer_send. */
typedef struct KafkaOutgoing
{
	int32 partition; /* KAFKA_ANY_PARTITION: by the key's hash, at random without a key */
	const char *key; /* NULL: none */
	size_t key_length;
	const char *value;
	size_t length;
	int64 timestamp; /* ms since 1970, or KAFKA_NOW */
	const KafkaHeader *headers;
	int nheaders;
} KafkaOutgoing;

/*
 * The handle of one statement; whoever creates it destroys it, also on error.  Destroying drops what
 * is not sent, waits 3 s at the most and raises nothing.
 */
extern KafkaProducer *kafka_producer_create(const KafkaProducerConfig *config);
extern void kafka_producer_destroy(KafkaProducer *producer);

/*
 * Waits for the brokers (10 s at the most), queues a record (waits while the queue is full), waits
 * until all are confirmed.  All serve interrupts.  Errors: 08006 no broker answers, or none confirms
 * within 30 s; 28000, 42501; 42704 no such topic or partition; 54000 a record is too large.  Those of
 * the last two say how many records are confirmed.
 */
extern void kafka_producer_connect(KafkaProducer *producer);
extern void kafka_producer_send(KafkaProducer *producer, const KafkaOutgoing *record);
extern void kafka_producer_finish(KafkaProducer *producer);

#endif
