/*
 * consume.c - reads a topic to its end with librdkafka and throws the records away.
 *
 * The least that any consumer built on the library costs: the way of kafka/consumer.c, batches of
 * the consumer's queue with the same properties, and nothing done with what comes.  Its last line
 * tells as JSON the records and bytes, and the seconds of wall and CPU since the program's start.
 * Called by bench/run; by hand: cc -O2 consume.c -lrdkafka && ./a.out HOST:PORT TOPIC PARTITIONS
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define CHUNK 4096
#define WAIT_MS 50 /* for a chunk to fill */
#define PATIENCE_SECONDS 30

typedef struct Totals
{
	uint64_t records;
	uint64_t bytes;
	int ended; /* partitions */
} Totals;

/* As the extension sets them, for a worker_memory of 256 MB. */
static const char *const properties[][2] = {
	{"group.id", "bench"},
	{"isolation.level", "read_committed"},
	{"queued.min.messages", "1000000"},
	{"queued.max.messages.kbytes", "131072"},
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"enable.partition.eof", "true"},
	{"auto.offset.reset", "error"},
	{"check.crcs", "true"},
	{NULL, NULL},
};

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "consume: %s: %s\n", what, why);
	exit(1);
}

static double
cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static double
wall_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static rd_kafka_t *
make_consumer(const char *bootstrap)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256];
	rd_kafka_t *client;

	if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, error, sizeof(error)) !=
		RD_KAFKA_CONF_OK)
		fail("bootstrap.servers", error);
	for (int i = 0; properties[i][0]; i++)
		if (rd_kafka_conf_set(conf, properties[i][0], properties[i][1], error, sizeof(error)) !=
			RD_KAFKA_CONF_OK)
			fail(properties[i][0], error);
	/* from 2.2 on; a version that does not know it goes without, as the extension does */
	(void) rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "20", error, sizeof(error));
	client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
	if (client == NULL)
		fail("no consumer", error);
	return client;
}

/* Without a leader known beforehand the library would look for it a second later. */
static void
find_leaders(rd_kafka_t *client, const char *topic)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error =
		rd_kafka_metadata(client, 0, handle, &metadata, PATIENCE_SECONDS * 1000);

	if (error)
		fail("no metadata", rd_kafka_err2str(error));
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(handle);
}

static void
assign(rd_kafka_t *client, const char *topic, int partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	rd_kafka_resp_err_t error;

	for (int i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	error = rd_kafka_assign(client, list);
	if (error)
		fail("could not assign", rd_kafka_err2str(error));
	rd_kafka_topic_partition_list_destroy(list);
}

static void
count_message(Totals *totals, const rd_kafka_message_t *message)
{
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		totals->ended++;
	else if (message->err)
		fail("could not read", rd_kafka_message_errstr(message));
	else
	{
		totals->records++;
		totals->bytes += message->len;
	}
}

static void
read_to_end(rd_kafka_t *client, int partitions, Totals *totals)
{
	static rd_kafka_message_t *messages[CHUNK];
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);

	double last = wall_seconds();

	while (totals->ended < partitions)
	{
		ssize_t taken = rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, CHUNK);

		if (taken > 0)
			last = wall_seconds();
		else if (wall_seconds() - last > PATIENCE_SECONDS)
			fail("nothing came", "the topic's end was not reached");
		for (ssize_t i = 0; i < taken; i++)
		{
			count_message(totals, messages[i]);
			rd_kafka_message_destroy(messages[i]);
		}
	}
	rd_kafka_queue_destroy(queue);
}

int
main(int argc, char **argv)
{
	int partitions = argc == 4 ? atoi(argv[3]) : 0;
	Totals totals = {0};
	rd_kafka_t *client;
	double wall;

	if (partitions < 1)
	{
		fprintf(stderr, "consume HOST:PORT TOPIC PARTITIONS\n");
		return 2;
	}
	wall = wall_seconds();
	client = make_consumer(argv[1]);
	find_leaders(client, argv[2]);
	assign(client, argv[2], partitions);
	read_to_end(client, partitions, &totals);
	printf("{\"records\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.4f, \"cpu\": %.4f}\n",
		   totals.records, totals.bytes, wall_seconds() - wall, cpu_seconds());
	fflush(stdout);
	rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return 0;
}
