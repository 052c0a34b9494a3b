/*
 * consume.c - reads a topic to its end with librdkafka and throws the records away.
 *
 * The least that any consumer built on the library costs: the way of kafka/consumer.c, batches of
 * the consumer's queue with the same properties, and nothing done with what comes.  Its last line
 * tells as JSON the records and bytes, and the seconds of wall and CPU since the program's start.
 * With SECONDS it then waits for more, and tells the CPU of that, too.
 * Called by bench/run; by hand:
 * cc -O2 consume.c -lrdkafka && ./a.out HOST:PORT TOPIC PARTITIONS [SECONDS]
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define CHUNK 4096
#define WAIT_MS 50 /* for a chunk to fill */
#define IDLE_WAIT_MS 1000
#define PATIENCE_SECONDS 30

typedef struct Totals
{
	uint64_t records;
	uint64_t bytes;
	uint64_t wanted; /* records that there are */
} Totals;

/* As the extension sets them, but for a longer queue: nothing here wakes it when it is full. */
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

/* Returns how many records there are: the topics of generate.c hold nothing else. */
static uint64_t
assign(rd_kafka_t *client, const char *topic, int partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	uint64_t records = 0;
	rd_kafka_resp_err_t error;

	for (int i = 0; i < partitions; i++)
	{
		int64_t low, high;

		error = rd_kafka_query_watermark_offsets(client, topic, i, &low, &high,
												 PATIENCE_SECONDS * 1000);
		if (error)
			fail("no offsets", rd_kafka_err2str(error));
		records += (uint64_t) (high - low);
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = low;
	}
	error = rd_kafka_assign(client, list);
	if (error)
		fail("could not assign", rd_kafka_err2str(error));
	rd_kafka_topic_partition_list_destroy(list);
	return records;
}

static void
count_message(Totals *totals, const rd_kafka_message_t *message)
{
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return;
	if (message->err)
		fail("could not read", rd_kafka_message_errstr(message));
	totals->records++;
	totals->bytes += message->len;
}

/* Takes what there is, or waits for it; returns how much it was. */
static ssize_t
take(rd_kafka_queue_t *queue, int wait_ms, Totals *totals)
{
	static rd_kafka_message_t *messages[CHUNK];
	ssize_t taken = rd_kafka_consume_batch_queue(queue, wait_ms, messages, CHUNK);

	for (ssize_t i = 0; i < taken; i++)
	{
		count_message(totals, messages[i]);
		rd_kafka_message_destroy(messages[i]);
	}
	return taken;
}

static void
read_to_end(rd_kafka_queue_t *queue, Totals *totals)
{
	double last = wall_seconds();

	while (totals->records < totals->wanted)
	{
		if (take(queue, WAIT_MS, totals) > 0)
			last = wall_seconds();
		else if (wall_seconds() - last > PATIENCE_SECONDS)
			fail("nothing came", "the topic's end was not reached");
	}
}

/* Returns the CPU seconds of waiting at the topic's end, where nothing comes. */
static double
wait_idle(rd_kafka_queue_t *queue, double seconds, Totals *totals)
{
	double began = wall_seconds();
	double cpu = cpu_seconds();

	while (wall_seconds() - began < seconds)
		take(queue, IDLE_WAIT_MS, totals);
	return cpu_seconds() - cpu;
}

int
main(int argc, char **argv)
{
	int partitions = argc >= 4 ? atoi(argv[3]) : 0;
	double seconds = argc == 5 ? atof(argv[4]) : 0;
	Totals totals = {0};
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	double wall;

	if (partitions < 1 || argc > 5)
	{
		fprintf(stderr, "consume HOST:PORT TOPIC PARTITIONS [SECONDS]\n");
		return 2;
	}
	wall = wall_seconds();
	client = make_consumer(argv[1]);
	find_leaders(client, argv[2]);
	totals.wanted = assign(client, argv[2], partitions);
	queue = rd_kafka_queue_get_consumer(client);
	read_to_end(queue, &totals);
	printf("{\"records\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.4f, \"cpu\": %.4f, ",
		   totals.records, totals.bytes, wall_seconds() - wall, cpu_seconds());
	printf("\"idle_cpu\": %.4f}\n", wait_idle(queue, seconds, &totals));
	fflush(stdout);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return 0;
}
