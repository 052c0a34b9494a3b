/*
 * consumer.c - one topic's records, by manual assignment and our own offsets.
 *
 * No group is joined and no offset is stored at the broker: the database knows where it is.  An
 * offset that is out of range is an error, never a jump.  Most broker faults never arrive here as
 * messages, so the worker watches progress itself.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "consumer_parts.h"
#include "streamagg.h"

#define CHUNK 4096
#define AHEAD 8 /* messages */
#define AHEAD_BYTES 256
#define WITH_QUEUE_BACKOFF 0x02020000 /* the property fetch.queue.backoff.ms */

/* ---------------------------------------------------------------- life */

static rd_kafka_conf_t *
consumer_conf(const KafkaConsumerConfig *config, KafkaTrouble *trouble)
{
	rd_kafka_conf_t *conf =
		kafka_conf_create(config->server, config->user, config->memory_kb, trouble);

	kafka_conf_set(conf, "group.id", "streamagg");
	kafka_conf_set(conf, "enable.auto.commit", "false");
	kafka_conf_set(conf, "enable.auto.offset.store", "false");
	kafka_conf_set(conf, "enable.partition.eof", "true");
	kafka_conf_set(conf, "auto.offset.reset", "error");
	kafka_conf_set(conf, "check.crcs", "true");
	/* no group is joined: nobody waits for our polls */
	kafka_conf_set(conf, "max.poll.interval.ms", "86400000");
	kafka_conf_try(conf, "fetch.queue.backoff.ms", "20"); /* from 2.2 on */
	if (config->impatient)
	{
		kafka_conf_set(conf, "fetch.wait.max.ms", "10");
		kafka_conf_set(conf, "fetch.error.backoff.ms", "10");
	}
	if (config->read_ahead == 0)
		return conf;
	kafka_conf_set(conf, "queued.min.messages", psprintf("%d", config->read_ahead));
	kafka_conf_set(conf, "queued.max.messages.kbytes", psprintf("%d", config->memory_kb));
	return conf;
}

static int
create_event_fd(rd_kafka_t *client)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int why = errno;

	if (fd >= 0)
		return fd;
	kafka_client_destroy(client);
	errno = why;
	ereport(ERROR, (errcode_for_socket_access(), errmsg("could not create an eventfd: %m")));
}

/* An error leaves nothing behind: until all is there the memory is the caller's. */
KafkaConsumer *
kafka_consumer_create(const KafkaConsumerConfig *config)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "streamagg Kafka consumer",
												  ALLOCSET_SMALL_SIZES);
	KafkaConsumer *consumer = MemoryContextAllocZero(context, sizeof(KafkaConsumer));
	static const uint64 one = 1;

	kafka_require_topic(config->topic);
	consumer->context = context;
	consumer->far = config->far;
	consumer->capacity = consumer->limit = config->max_messages;
	consumer->max_bytes = (int64) config->memory_kb * 1024;
	consumer->cautious = config->cautious;
	consumer->messages =
		MemoryContextAllocHuge(context, sizeof(void *) * (Size) consumer->capacity);
	consumer->client =
		kafka_client_create(RD_KAFKA_CONSUMER, consumer_conf(config, &consumer->trouble));
	consumer->event_fd = create_event_fd(consumer->client);
	consumer->queue = rd_kafka_queue_get_consumer(consumer->client);
	consumer->topic = rd_kafka_topic_new(consumer->client, config->topic, NULL);
	rd_kafka_queue_io_event_enable(consumer->queue, consumer->event_fd, &one, sizeof(one));
	MemoryContextSetParent(context, TopMemoryContext);
	return consumer;
}

void
kafka_consumer_destroy(KafkaConsumer *consumer)
{
	kafka_consumer_release(consumer);
	kafka_consumer_forget_failures(consumer);
	rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(consumer->queue);
	rd_kafka_topic_destroy(consumer->topic);
	kafka_client_destroy(consumer->client);
	close(consumer->event_fd);
	MemoryContextDelete(consumer->context);
}

/* ---------------------------------------------------------------- assignment */

void
kafka_consumer_assign(KafkaConsumer *consumer, const int32 *partitions, const int64 *offsets,
					  int count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(Max(count, 1));
	rd_kafka_resp_err_t error;

	for (int i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(consumer->topic), partitions[i])
			->offset = offsets[i];
	error = rd_kafka_assign(consumer->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	consumer->disturbances = consumer->trouble.disturbances;
	if (error)
		kafka_consumer_raise(consumer, error);
}

void
kafka_consumer_pause(KafkaConsumer *consumer, int32 partition)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(consumer->topic), partition);
	rd_kafka_pause_partitions(consumer->client, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* ---------------------------------------------------------------- records */

/* After a connection was lost nobody knows whether the log is still the same. */
static bool
is_disturbed(const KafkaConsumer *consumer)
{
	return consumer->cautious && consumer->disturbances != consumer->trouble.disturbances;
}

bool
kafka_consumer_is_interrupted(const KafkaConsumer *consumer)
{
	return consumer->nfailures > 0 || is_disturbed(consumer);
}

int
kafka_consumer_take(KafkaConsumer *consumer)
{
	ssize_t taken;
	int wanted = Min(consumer->limit - consumer->count, CHUNK);
	int kept = consumer->count;

	kafka_client_serve(consumer->client);
	if (wanted <= 0 || is_disturbed(consumer))
		return kept;
	taken = rd_kafka_consume_batch_queue(consumer->queue, 0, consumer->messages + consumer->count,
										 wanted);
	for (int i = 0; i < taken; i++)
	{
		rd_kafka_message_t *message = consumer->messages[consumer->count + i];

		if (i + AHEAD < taken)
			__builtin_prefetch(consumer->messages[consumer->count + i + AHEAD]);

		if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		{
			kafka_consumer_keep_failure(consumer, message);
			continue;
		}
		if (consumer->nfailures > 0 && kafka_consumer_has_failed(consumer, message->partition))
		{
			rd_kafka_message_destroy(
				message); /* the library may go on behind what it cannot read */
			continue;
		}
		consumer->messages[kept++] = message;
		consumer->bytes += message->len + message->key_len;
	}
	if (kept > consumer->count)
		kafka_trouble_clear(&consumer->trouble);
	consumer->count = kept;
	return kept;
}

/*
 * Before 2.2 a thread of the library that found its queue full sleeps for up to a second, however soon
 * the queue is empty.  A question wakes it; nobody waits for the answer.
 */
void
kafka_consumer_nudge(KafkaConsumer *consumer, int partitions)
{
	rd_kafka_topic_partition_list_t *list;

	if (rd_kafka_version() >= WITH_QUEUE_BACKOFF || partitions == 0)
		return;
	list = rd_kafka_topic_partition_list_new(partitions);
	for (int i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(consumer->topic), i)->offset =
			KAFKA_LAST;
	(void) rd_kafka_offsets_for_times(consumer->client, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

void
kafka_consumer_limit(KafkaConsumer *consumer, int messages)
{
	consumer->limit = messages > 0 ? Min(messages, consumer->capacity) : consumer->capacity;
}

int
kafka_consumer_count(const KafkaConsumer *consumer)
{
	return consumer->count;
}

bool
kafka_consumer_is_full(const KafkaConsumer *consumer)
{
	return consumer->count >= consumer->limit || consumer->bytes >= consumer->max_bytes;
}

KafkaMessageKind
kafka_consumer_place(const KafkaConsumer *consumer, int number, int32 *partition, int64 *offset)
{
	const rd_kafka_message_t *found = consumer->messages[number];

	*partition = found->partition;
	*offset = found->offset;
	return found->err ? KAFKA_END : KAFKA_RECORD;
}

/*
 * Another thread made the messages, long before they are read: the processor is told to load what comes
 * next while it works on this one.
 */
static inline void
fetch_ahead(const KafkaConsumer *consumer, int number)
{
	const char *payload;

	if (number + 2 * AHEAD >= consumer->count)
		return;
	__builtin_prefetch(consumer->messages[number + 2 * AHEAD]);
	payload = consumer->messages[number + AHEAD]->payload;
	for (int line = 0; line < AHEAD_BYTES; line += 64)
		__builtin_prefetch(payload + line);
}

void
kafka_consumer_message(const KafkaConsumer *consumer, int number, KafkaMessage *message)
{
	const rd_kafka_message_t *found = consumer->messages[number];

	fetch_ahead(consumer, number);
	message->kind = kafka_consumer_place(consumer, number, &message->partition, &message->offset);
	message->value = found->payload;
	message->length = found->len;
	message->key = found->key;
	message->key_length = found->key_len;
	message->timestamp = rd_kafka_message_timestamp(found, NULL);
}

static rd_kafka_headers_t *
headers_of(const KafkaConsumer *consumer, int number)
{
	rd_kafka_headers_t *headers;

	if (rd_kafka_message_headers(consumer->messages[number], &headers) != 0)
		return NULL;
	return headers;
}

int
kafka_consumer_header_count(const KafkaConsumer *consumer, int number)
{
	rd_kafka_headers_t *headers = headers_of(consumer, number);

	return headers ? (int) rd_kafka_header_cnt(headers) : 0;
}

void
kafka_consumer_header(const KafkaConsumer *consumer, int number, int header, const char **name,
					  const char **value, size_t *length)
{
	const void *bytes = NULL;

	*length = 0;
	if (rd_kafka_header_get_all(headers_of(consumer, number), header, name, &bytes, length) != 0)
		elog(ERROR, "message has no header %d", header);
	*value = bytes;
}

void
kafka_consumer_release(KafkaConsumer *consumer)
{
	for (int i = 0; i < consumer->count; i++)
	{
		if (i + AHEAD < consumer->count)
			__builtin_prefetch(consumer->messages[i + AHEAD]);
		rd_kafka_message_destroy(consumer->messages[i]);
	}
	consumer->count = 0;
	consumer->bytes = 0;
}

int
kafka_consumer_socket(const KafkaConsumer *consumer)
{
	return consumer->event_fd;
}

void
kafka_consumer_drain_socket(KafkaConsumer *consumer)
{
	kafka_drain_event(consumer->event_fd);
}

const char *
kafka_consumer_trouble(const KafkaConsumer *consumer)
{
	return consumer->trouble.error ? rd_kafka_err2str(consumer->trouble.error) : NULL;
}
