/*
 * producer.c - one statement's records to one topic: idempotent, confirmed by all in-sync replicas.
 *
 * The library's queue is bounded, so a statement of any size needs the same memory.  What the brokers
 * have confirmed or refused is heard in this thread, by kafka_client_serve().  Who calls it:
 * fdw/modify.c.
 */
#include "postgres.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "client.h"
#include "kafka/producer.h"
#include "streamagg.h"

#define CONNECT_PATIENCE_MS 10000
#define DELIVERY_PATIENCE_MS "30000"
#define QUEUE_KB (32 * 1024)
#define MESSAGE_OVERHEAD (64 * 1024) /* of key and headers, beside the value */
#define LARGEST_BATCH 1000000
#define LARGEST_MESSAGE 1000000000 /* that librdkafka can send */

struct KafkaProducer
{
	rd_kafka_t *client;
	rd_kafka_queue_t *queue; /* of the delivery reports */
	rd_kafka_topic_t *topic;
	int event_fd;
	int partitions;
	int64 sent;
	int64 confirmed;
	rd_kafka_resp_err_t failure; /* of the first record that was not delivered */
	KafkaTrouble trouble;
};

/* ---------------------------------------------------------------- life */

static void
on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	KafkaProducer *producer = message->_private;

	if (message->err == 0)
		producer->confirmed++;
	else if (producer->failure == 0)
		producer->failure = message->err;
}

static rd_kafka_conf_t *
producer_conf(const KafkaProducerConfig *config, KafkaTrouble *trouble)
{
	rd_kafka_conf_t *conf = kafka_conf_create(config->server, config->user, 1024, trouble);
	int64 largest = Min(config->max_message_bytes + MESSAGE_OVERHEAD, LARGEST_MESSAGE);

	kafka_conf_set(conf, "acks", "all");
	kafka_conf_set(conf, "enable.idempotence", "true");
	/* as Java's clients choose, so that a key has one partition whoever writes it */
	kafka_conf_set(conf, "partitioner", "murmur2_random");
	kafka_conf_set(conf, "linger.ms", "5");
	kafka_conf_set(conf, "message.timeout.ms", DELIVERY_PATIENCE_MS);
	kafka_conf_set(conf, "message.max.bytes", psprintf(INT64_FORMAT, largest));
	/* the broker compares a whole batch to the topic's max.message.bytes */
	kafka_conf_set(conf, "batch.size",
				   psprintf(INT64_FORMAT, Min(config->max_message_bytes, LARGEST_BATCH)));
	kafka_conf_set(conf, "queue.buffering.max.kbytes",
				   psprintf(INT64_FORMAT, QUEUE_KB + largest / 1024));
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	return conf;
}

static int
open_event(KafkaProducer *producer)
{
	static const uint64 one = 1;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd >= 0)
		rd_kafka_queue_io_event_enable(producer->queue, fd, &one, sizeof(one));
	return fd;
}

KafkaProducer *
kafka_producer_create(const KafkaProducerConfig *config)
{
	KafkaTrouble trouble;
	rd_kafka_conf_t *conf;
	KafkaProducer *producer;

	kafka_require_topic(config->topic);
	conf = producer_conf(config, &trouble);
	producer = MemoryContextAllocZero(TopMemoryContext, sizeof(KafkaProducer));
	producer->trouble = trouble;
	rd_kafka_conf_set_opaque(conf, &producer->trouble);
	PG_TRY();
	{
		producer->client = kafka_client_create(RD_KAFKA_PRODUCER, conf);
	}
	PG_CATCH();
	{
		pfree(producer);
		PG_RE_THROW();
	}
	PG_END_TRY();
	producer->queue = rd_kafka_queue_get_main(producer->client);
	producer->topic = rd_kafka_topic_new(producer->client, config->topic, NULL);
	producer->event_fd = open_event(producer);
	if (producer->event_fd < 0)
	{
		kafka_producer_destroy(producer);
		ereport(ERROR, (errcode_for_socket_access(), errmsg("could not create an eventfd: %m")));
	}
	return producer;
}

void
kafka_producer_destroy(KafkaProducer *producer)
{
	rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
										 RD_KAFKA_PURGE_F_NON_BLOCKING);
	rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(producer->queue);
	rd_kafka_topic_destroy(producer->topic);
	kafka_client_destroy(producer->client);
	if (producer->event_fd >= 0)
		close(producer->event_fd);
	pfree(producer);
}

/* ---------------------------------------------------------------- faults */

/* The fault in the library's words; a time-out says less than what the connection said. */
static void
raise_failure(const KafkaProducer *producer, rd_kafka_resp_err_t error)
{
	const char *text = rd_kafka_err2str(error);
	char fatal[256];

	if (error == RD_KAFKA_RESP_ERR__FATAL)
	{
		error = rd_kafka_fatal_error(producer->client, fatal, sizeof(fatal));
		text = fatal;
	}
	else if (producer->trouble.error && kafka_is_passing(error))
	{
		error = producer->trouble.error;
		text = producer->trouble.text;
	}
	ereport(ERROR, (errcode(kafka_sqlstate(error)),
					errmsg("could not write to topic \"%s\"",
						   kafka_clean_text(rd_kafka_topic_name(producer->topic))),
					producer->sent > 0
						? errdetail("%s. Confirmed are " INT64_FORMAT " of " INT64_FORMAT
									" records so far; they stay, and others may have been written.",
									kafka_clean_text(text), producer->confirmed, producer->sent)
						: errdetail("%s.", kafka_clean_text(text)),
					errhint("%s", kafka_hint(error))));
}

/* What the library has to say; raises when a record was refused, or none can be sent any more. */
static void
serve(KafkaProducer *producer)
{
	CHECK_FOR_INTERRUPTS();
	kafka_client_serve(producer->client);
	if (producer->failure)
		raise_failure(producer, producer->failure);
	if (kafka_is_hopeless(&producer->trouble) ||
		producer->trouble.error == RD_KAFKA_RESP_ERR__FATAL)
		raise_failure(producer, producer->trouble.error);
}

static void
wait_for_reports(KafkaProducer *producer)
{
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 producer->event_fd, KAFKA_SLICE_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	kafka_drain_event(producer->event_fd);
	serve(producer);
}

/* ---------------------------------------------------------------- records */

void
kafka_producer_connect(KafkaProducer *producer)
{
	TimestampTz start = GetCurrentTimestamp();

	for (;;)
	{
		rd_kafka_resp_err_t error =
			kafka_ask_partitions(producer->client, producer->topic, &producer->partitions);

		if (error == 0)
			break;
		serve(producer);
		if (!kafka_is_passing(error) ||
			TimestampDifferenceExceeds(start, GetCurrentTimestamp(), CONNECT_PATIENCE_MS))
			raise_failure(producer, error);
	}
	kafka_trouble_clear(&producer->trouble);
}

static rd_kafka_headers_t *
make_headers(const KafkaOutgoing *record)
{
	rd_kafka_headers_t *headers;

	if (record->nheaders == 0)
		return NULL;
	headers = rd_kafka_headers_new(record->nheaders);
	for (int i = 0; i < record->nheaders; i++)
		rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value,
							record->headers[i].length);
	return headers;
}

static rd_kafka_resp_err_t
queue_record(KafkaProducer *producer, const KafkaOutgoing *record)
{
	rd_kafka_headers_t *headers = make_headers(record);
	rd_kafka_resp_err_t error = rd_kafka_producev(
		producer->client, RD_KAFKA_V_RKT(producer->topic), RD_KAFKA_V_PARTITION(record->partition),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_KEY((void *) record->key, record->key_length),
		RD_KAFKA_V_VALUE((void *) record->value, record->length),
		RD_KAFKA_V_TIMESTAMP(record->timestamp), RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_OPAQUE(producer), RD_KAFKA_V_END);

	if (error && headers)
		rd_kafka_headers_destroy(headers);
	return error;
}

static void
require_partition(const KafkaProducer *producer, int32 partition)
{
	if (partition == KAFKA_ANY_PARTITION || partition < producer->partitions)
		return;
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("topic \"%s\" has no partition %d",
						   kafka_clean_text(rd_kafka_topic_name(producer->topic)), partition),
					errdetail("It has %d partitions.", producer->partitions)));
}

void
kafka_producer_send(KafkaProducer *producer, const KafkaOutgoing *record)
{
	rd_kafka_resp_err_t error;

	require_partition(producer, record->partition);
	while ((error = queue_record(producer, record)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		wait_for_reports(producer);
	if (error)
		raise_failure(producer, error);
	producer->sent++;
	if (producer->sent % 1024 == 0)
		serve(producer);
}

void
kafka_producer_finish(KafkaProducer *producer)
{
	serve(producer);
	while (producer->confirmed < producer->sent)
		wait_for_reports(producer);
}
