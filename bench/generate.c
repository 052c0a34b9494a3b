/*
 * generate.c - fills a topic with seeded events, as fast as it goes or at a rate.
 *
 * What the events are is in events_login.c and events_ysb.c; the partition of each is drawn by its
 * number, too.  The last line on standard output tells as JSON what was produced, so that a
 * reader's accounts can be checked.  At a rate each slice of a millisecond is noted in a journal:
 * its time, and how many events each partition had by then.
 * Called by bench/run; by hand: cc -O2 generate.c events_*.c -lrdkafka && ./a.out --help
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "chance.h"
#include "events.h"

#define SLICE_NS 1000000
#define SECOND_NS UINT64_C(1000000000)

typedef struct Options
{
	const char *bootstrap;
	const char *topic;
	const Source *source;
	uint64_t events;
	int partitions;
	uint64_t rate; /* events a second, 0: as fast as it goes */
	const char *journal;
	Mix mix;
} Options;

typedef struct Totals
{
	uint64_t tallies[TALLIES];
	uint64_t bytes;
	uint64_t failed; /* not confirmed by the broker */
} Totals;

typedef struct Producer
{
	const Options *options;
	rd_kafka_t *client;
	rd_kafka_topic_t *topic;
	uint64_t *ends; /* events of each partition so far */
	Totals totals;
} Producer;

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "generate: %s: %s\n", what, why);
	exit(1);
}

void
write_uuid(char *text, uint64_t *state)
{
	uint64_t high = next_random(state);
	uint64_t low = next_random(state);

	snprintf(text, UUID_SIZE, "%08x-%04x-4%03x-%04x-%012" PRIx64, (unsigned) (high >> 32),
			 (unsigned) (high >> 16) & 0xffff, (unsigned) high & 0xfff,
			 0x8000 | ((unsigned) (low >> 48) & 0x3fff), low & UINT64_C(0xffffffffffff));
}

/* ---------------------------------------------------------------- the topic */

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char error[256];

	if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		fail(name, error);
}

static void
on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *totals)
{
	(void) client;
	if (message->err)
		((Totals *) totals)->failed++;
}

/* Nothing is sent twice: the events of a partition come to lie in the order that they are made. */
static void
open_producer(Producer *producer, const Options *options)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256];

	producer->options = options;
	set(conf, "bootstrap.servers", options->bootstrap);
	set(conf, "message.send.max.retries", "0");
	set(conf, "max.in.flight.requests.per.connection", "5"); /* more make each too small */
	set(conf, "compression.type", "lz4");
	set(conf, "linger.ms", options->rate ? "5" : "20");
	set(conf, "batch.num.messages", "10000");
	set(conf, "queue.buffering.max.messages", "500000");
	set(conf, "delivery.report.only.error", "true");
	rd_kafka_conf_set_opaque(conf, &producer->totals);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	producer->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	if (producer->client == NULL)
		fail("no producer", error);
	producer->topic = rd_kafka_topic_new(producer->client, options->topic, NULL);
	producer->ends = calloc((size_t) options->partitions, sizeof(uint64_t));
	if (producer->ends == NULL)
		fail("no memory", options->topic);
}

static void
close_producer(Producer *producer)
{
	rd_kafka_resp_err_t error = rd_kafka_flush(producer->client, 60000);

	if (error)
		fail("could not flush", rd_kafka_err2str(error));
	if (producer->totals.failed)
		fail("events were not confirmed by the broker", producer->options->topic);
	rd_kafka_topic_destroy(producer->topic);
	rd_kafka_destroy(producer->client);
	free(producer->ends);
}

/* Waits while the queue is full; any other error ends the program. */
static void
enqueue(Producer *producer, int partition, char *text, size_t length)
{
	while (rd_kafka_produce(producer->topic, partition, RD_KAFKA_MSG_F_COPY, text, length, NULL, 0,
							NULL) != 0)
	{
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			fail("could not produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(producer->client, 10);
	}
}

static void
produce(Producer *producer, uint64_t number)
{
	const Options *options = producer->options;
	uint64_t state = random_of(options->mix.seed, 4, number);
	int partition = (int) below(&state, (uint64_t) options->partitions);
	char text[EVENT_MAX];
	size_t length = options->source->write(&options->mix, number, text, producer->totals.tallies);

	enqueue(producer, partition, text, length);
	producer->ends[partition]++;
	producer->totals.bytes += length;
	if (number % 1000 == 0)
		rd_kafka_poll(producer->client, 0);
}

static uint64_t
nanoseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t) now.tv_sec * SECOND_NS + (uint64_t) now.tv_nsec;
}

static void
sleep_until(uint64_t due)
{
	struct timespec until = {.tv_sec = (time_t) (due / SECOND_NS),
							 .tv_nsec = (long) (due % SECOND_NS)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		continue;
}

static void
note_slice(FILE *journal, const Producer *producer, uint64_t time)
{
	fprintf(journal, "%.6f", (double) time / 1e9);
	for (int i = 0; i < producer->options->partitions; i++)
		fprintf(journal, " %" PRIu64, producer->ends[i]);
	fputc('\n', journal);
}

/*
 * An event is due when its time has come and produced in the slice after that: what could not be
 * produced in time follows at once, and its time in the journal is that at which it was.
 */
static void
produce_at_rate(Producer *producer)
{
	const Options *options = producer->options;
	FILE *journal = fopen(options->journal, "w");
	uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
	uint64_t number = 0;

	if (journal == NULL)
		fail("cannot write", options->journal);
	for (uint64_t slice = 1; number < options->events; slice++)
	{
		uint64_t due = slice * SLICE_NS * options->rate / SECOND_NS;
		uint64_t time;

		sleep_until(begin + slice * SLICE_NS);
		time = nanoseconds(CLOCK_REALTIME);
		while (number < due && number < options->events)
			produce(producer, number++);
		note_slice(journal, producer, time);
	}
	if (fclose(journal) != 0)
		fail("cannot write", options->journal);
}

static void
produce_all(Producer *producer)
{
	for (uint64_t number = 0; number < producer->options->events; number++)
		produce(producer, number);
}

/* ---------------------------------------------------------------- the program */

static void
usage(FILE *to)
{
	fprintf(to, "generate --bootstrap HOST:PORT --topic TOPIC --events N [--kind login|ysb]\n"
				"         [--partitions 4] [--seed 1] [--users 100000]\n"
				"         [--rate EVENTS_A_SECOND --journal FILE]\n"
				"    of logins: [--nested SHARE] [--not-json SHARE] [--missing SHARE]\n"
				"               [--wrong-type SHARE] [--check SHARE]\n"
				"Shares are between 0 and 1 of all events; the topic must exist.\n");
}

static double
read_share(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0 && value <= 1))
		fail("not a share between 0 and 1", text);
	return value;
}

static uint64_t
read_number(const char *text, uint64_t least)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end || *text == '-' || value < least)
		fail("not a number, or too small", text);
	return value;
}

static const Source *
read_source(const char *name)
{
	static const Source *const sources[] = {&login_events, &ysb_events};

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (strcmp(name, sources[i]->name) == 0)
			return sources[i];
	fail("there are no such events", name);
	return NULL;
}

/* Those of the mix; false when it is none of them. */
static bool
read_mix_option(Mix *mix, int option, const char *value)
{
	switch (option)
	{
		case 's':
			mix->seed = read_number(value, 0);
			return true;
		case 'u':
			mix->users = read_number(value, 1);
			return true;
		case 'n':
			mix->nested = read_share(value);
			return true;
		case 'J':
			mix->shares[NOT_JSON] = read_share(value);
			return true;
		case 'M':
			mix->shares[MISSING] = read_share(value);
			return true;
		case 'W':
			mix->shares[WRONG_TYPE] = read_share(value);
			return true;
		case 'C':
			mix->shares[CHECK] = read_share(value);
			return true;
		default:
			return false;
	}
}

static void
read_option(Options *options, int option, const char *value)
{
	switch (option)
	{
		case 'b':
			options->bootstrap = value;
			break;
		case 't':
			options->topic = value;
			break;
		case 'k':
			options->source = read_source(value);
			break;
		case 'e':
			options->events = read_number(value, 1);
			break;
		case 'p':
			options->partitions = (int) read_number(value, 1);
			break;
		case 'r':
			options->rate = read_number(value, 1);
			break;
		case 'j':
			options->journal = value;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			if (!read_mix_option(&options->mix, option, value))
			{
				usage(stderr);
				exit(2);
			}
	}
}

static Options
read_options(int argc, char **argv)
{
	static const struct option known[] = {{"bootstrap", required_argument, NULL, 'b'},
										  {"topic", required_argument, NULL, 't'},
										  {"kind", required_argument, NULL, 'k'},
										  {"events", required_argument, NULL, 'e'},
										  {"partitions", required_argument, NULL, 'p'},
										  {"rate", required_argument, NULL, 'r'},
										  {"journal", required_argument, NULL, 'j'},
										  {"seed", required_argument, NULL, 's'},
										  {"users", required_argument, NULL, 'u'},
										  {"nested", required_argument, NULL, 'n'},
										  {"not-json", required_argument, NULL, 'J'},
										  {"missing", required_argument, NULL, 'M'},
										  {"wrong-type", required_argument, NULL, 'W'},
										  {"check", required_argument, NULL, 'C'},
										  {"help", no_argument, NULL, 'h'},
										  {NULL, 0, NULL, 0}};
	Options options = {
		.source = &login_events, .partitions = 4, .mix = {.seed = 1, .users = 100000}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		read_option(&options, option, optarg);
	if (options.bootstrap == NULL || options.topic == NULL || options.events == 0 ||
		optind < argc || (options.rate == 0) != (options.journal == NULL))
	{
		usage(stderr);
		exit(2);
	}
	return options;
}

int
main(int argc, char **argv)
{
	Options options = read_options(argc, argv);
	Producer producer = {0};
	uint64_t begin = nanoseconds(CLOCK_MONOTONIC);

	open_producer(&producer, &options);
	if (options.rate)
		produce_at_rate(&producer);
	else
		produce_all(&producer);
	close_producer(&producer);
	printf("{\"events\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.3f", options.events,
		   producer.totals.bytes, (double) (nanoseconds(CLOCK_MONOTONIC) - begin) / 1e9);
	for (int i = 0; options.source->tallies[i]; i++)
		printf(", \"%s\": %" PRIu64, options.source->tallies[i], producer.totals.tallies[i]);
	printf("}\n");
	return 0;
}
