/*
 * consumer.h - reads the partitions of one topic from given offsets.
 */
#ifndef STREAMAGG_KAFKA_CONSUMER_H
#define STREAMAGG_KAFKA_CONSUMER_H

typedef struct KafkaConsumer KafkaConsumer;

typedef struct KafkaConsumerConfig
{
	Oid server;
	Oid user;
	const char *topic;
	int max_messages; /* of a batch */
	int memory_kb;	  /* for records read ahead, and as much for those taken */
	int read_ahead; /* no more records, and no more memory, whatever the server's options are; 0: theirs */
	bool cautious;	/* takes nothing after a connection was lost until it is assigned anew */
	bool impatient; /* short fetches: for a few questions, not for much data */
	bool far;		/* questions wait for answers of brokers that are far away, up to 10 s */
} KafkaConsumerConfig;

typedef enum KafkaMessageKind
{
	KAFKA_RECORD,
	KAFKA_END /* the partition was read up to this offset */
} KafkaMessageKind;

/* Pointers are valid until kafka_consumer_release. */
typedef struct KafkaMessage
{
	KafkaMessageKind kind;
	int32 partition;
	int64 offset;
	const char *value; /* NULL: none */
	size_t length;
	const char *key; /* NULL: none */
	size_t key_length;
	int64 timestamp; /* ms since 1970; -1: none */
} KafkaMessage;

typedef enum KafkaFailureKind
{
	KAFKA_OUT_OF_RANGE, /* no such offset, any more or yet */
	KAFKA_UNREADABLE, /* a batch of records whose checksum or compression is wrong, from offset on */
	KAFKA_BROKEN	  /* anything else that does not pass by itself */
} KafkaFailureKind;

typedef struct KafkaFailure
{
	KafkaFailureKind kind;
	int32 partition;
	int64 offset;
	int code;		  /* SQLSTATE */
	const char *text; /* of the library */
} KafkaFailure;

/* Times that stand for the edges of a partition. */
#define KAFKA_FIRST INT64CONST(-2) /* the first offset that can be read */
#define KAFKA_LAST INT64CONST(-1)  /* the end: for read_committed, of what is committed */

typedef struct KafkaLookup
{
	int32 partition;
	int64 time;	  /* KAFKA_FIRST, KAFKA_LAST, or ms since 1970, greater than 0 */
	int64 offset; /* found: of the first record that is not before the time; -1: none */
} KafkaLookup;

/*
 * Errors of all: 08006 no broker answers, 28000, 42501, 42704 no such topic, 22000 offset out of
 * range; the message names the topic.  Calls that wait serve interrupts and are bounded by 10 s.
 */
extern KafkaConsumer *kafka_consumer_create(const KafkaConsumerConfig *config);
extern void kafka_consumer_destroy(KafkaConsumer *consumer);

/* Number of the topic's partitions, from the brokers. */
extern int kafka_consumer_partitions(KafkaConsumer *consumer);
/*
 * How the topic is, as far as brokers answer: asks when nothing is asked; false until the answer has come,
 * or the wait for it is over.  Never waits itself.  Errors: 42501 a broker refuses the topic.
 */
typedef struct KafkaPulse
{
	int partitions;	 /* -1 unknown */
	int leaderless;	 /* the first partition without a leader; -1 none */
	bool is_missing; /* there is no such topic, or not now */
	bool is_answered;
} KafkaPulse;
extern bool kafka_consumer_feel_pulse(KafkaConsumer *consumer, KafkaPulse *pulse);
/* Offsets by time, from the brokers: of several partitions, or of one. */
extern void kafka_consumer_look_up(KafkaConsumer *consumer, KafkaLookup *lookups, int count);
extern int64 kafka_consumer_offset(KafkaConsumer *consumer, int32 partition, int64 time);
/* The same within a slice; false when no broker says so, of one of them at least. */
extern bool kafka_consumer_peek(KafkaConsumer *consumer, KafkaLookup *lookups, int count);
/* The end that the last fetch told of, -1 when unknown; never waits. */
extern int64 kafka_consumer_high_offset(KafkaConsumer *consumer, int32 partition);

/* Reads these partitions from these offsets, from now on; again with others: those instead. */
extern void kafka_consumer_assign(KafkaConsumer *consumer, const int32 *partitions,
								  const int64 *offsets, int count);
/* No more of this partition; what was taken stays. */
extern void kafka_consumer_pause(KafkaConsumer *consumer, int32 partition);

/*
 * Takes what is there, without waiting, behind what was taken before; the total so far.  Of a partition
 * that fails, what was before the failure.
 */
extern int kafka_consumer_take(KafkaConsumer *consumer);
/* Failures so far: those partitions are dead in this client. */
extern int kafka_consumer_failures(const KafkaConsumer *consumer);
extern KafkaFailure kafka_consumer_failure(const KafkaConsumer *consumer, int number);
extern void
kafka_consumer_raise_failure(const KafkaConsumer *consumer, int number) pg_attribute_noreturn();
/*
 * The first message from an offset on, of a new consumer that reads nothing else; waits.  False: there is
 * a failure instead.
 */
extern bool kafka_consumer_read_at(KafkaConsumer *consumer, int32 partition, int64 offset,
								   KafkaMessage *message, KafkaFailure *failure);

/* There are failures, or a cautious consumer has lost a connection: then assign anew. */
extern bool kafka_consumer_is_interrupted(const KafkaConsumer *consumer);
/* After much was taken, or when nothing comes though it should: see consumer.c; never waits. */
extern void kafka_consumer_nudge(KafkaConsumer *consumer, int partitions);
/* No more messages in a batch than these; 0: max_messages. */
extern void kafka_consumer_limit(KafkaConsumer *consumer, int messages);
extern int kafka_consumer_count(const KafkaConsumer *consumer);
extern bool kafka_consumer_is_full(const KafkaConsumer *consumer);
extern void
kafka_consumer_message(const KafkaConsumer *consumer, int number, KafkaMessage *message);
/* The least of a message; *offset is where it stands. */
extern KafkaMessageKind
kafka_consumer_place(const KafkaConsumer *consumer, int number, int32 *partition, int64 *offset);
/* Headers of a message; a name and a value that is NULL for none, valid as long as the message. */
extern int kafka_consumer_header_count(const KafkaConsumer *consumer, int number);
extern void kafka_consumer_header(const KafkaConsumer *consumer, int number, int header,
								  const char **name, const char **value, size_t *length);
extern void kafka_consumer_release(KafkaConsumer *consumer);

/* Readable when there may be something to take. */
extern int kafka_consumer_socket(const KafkaConsumer *consumer);
extern void kafka_consumer_drain_socket(KafkaConsumer *consumer);

/*
 * The last error that was raised is what a broker said of a topic, rightly or for want of rights: what
 * it needs may come at any time.
 */
extern bool kafka_broker_refused(void);

/* Some of the library's threads could not be ended: exit() would pull the ground from under them. */
extern bool kafka_threads_are_left(void);

/* Why no broker can be reached just now; NULL when all is well as far as known. */
extern const char *kafka_consumer_trouble(const KafkaConsumer *consumer);

#endif
