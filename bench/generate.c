/*
 * generate.c - fills a topic with user-login events, some of them broken on purpose.
 *
 * An event is made from the seed and its number alone, and what breaks it from a draw of its own:
 * two topics of the same seed differ in nothing but their broken records.  The last line on
 * standard output tells as JSON what was produced, so that a reader's accounts can be checked.
 * Called by bench/run; by hand: cc -O2 generate.c -lrdkafka && ./a.out --help
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

#define FIRST_SECOND 1694479551 /* event time of the first event */
#define EVENTS_PER_SECOND 10000 /* of event time */
#define DISORDER_SECONDS 30
#define USERS 100000
#define EVENT_MAX 512
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* What is wrong with an event; each kind breaks one rule of login.sql. */
typedef enum Kind
{
	GOOD,
	NOT_JSON,	/* cut off: not the end of a document */
	MISSING,	/* no device_type, which is NOT NULL */
	WRONG_TYPE, /* a user_id that is no uuid, or a timestamp that is no time */
	CHECK,		/* a device_type that its CHECK does not know */
	KINDS
} Kind;

static const char *const kind_names[KINDS] = {"good", "not_json", "missing", "wrong_type", "check"};

typedef struct Options
{
	const char *bootstrap;
	const char *topic;
	uint64_t events;
	int partitions;
	uint64_t seed;
	double shares[KINDS]; /* of the broken kinds */
	double nested;		  /* share with an extra nested field */
} Options;

/* The fields of an event as they are written. */
typedef struct Event
{
	char user_id[37];
	char ip[16];
	char device_id[12];
	const char *app_version;
	const char *device_type;
	char locale[3];
	char timestamp[24];
	bool nested;
} Event;

typedef struct Totals
{
	uint64_t kinds[KINDS];
	uint64_t bytes;
	uint64_t failed; /* not confirmed by the broker */
} Totals;

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "generate: %s: %s\n", what, why);
	exit(1);
}

/* ---------------------------------------------------------------- chance */

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += GOLDEN;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A generator of its own for each number of a purpose. */
static uint64_t
random_of(uint64_t seed, uint64_t purpose, uint64_t number)
{
	uint64_t state = seed * UINT64_C(0xd1342543de82ef95) + purpose;

	state = next_random(&state) + number;
	return next_random(&state);
}

static uint64_t
below(uint64_t *state, uint64_t limit)
{
	return (uint64_t) (((unsigned __int128) next_random(state) * limit) >> 64);
}

static double
share(uint64_t *state)
{
	return (double) (next_random(state) >> 11) / (double) (UINT64_C(1) << 53);
}

/* ---------------------------------------------------------------- an event */

/* What belongs to a user stays the same over all of the user's events. */
static void
make_user(Event *event, uint64_t seed, uint64_t user)
{
	uint64_t state = random_of(seed, 1, user);
	uint64_t high = next_random(&state);
	uint64_t low = next_random(&state);
	uint64_t address = next_random(&state);
	unsigned device = (unsigned) below(&state, 1000000000);

	snprintf(event->user_id, sizeof(event->user_id), "%08x-%04x-4%03x-%04x-%012" PRIx64,
			 (unsigned) (high >> 32), (unsigned) (high >> 16) & 0xffff, (unsigned) high & 0xfff,
			 0x8000 | ((unsigned) (low >> 48) & 0x3fff), low & UINT64_C(0xffffffffffff));
	snprintf(event->ip, sizeof(event->ip), "%u.%u.%u.%u", 1 + (unsigned) (address & 0xff) % 223,
			 (unsigned) (address >> 8) & 0xff, (unsigned) (address >> 16) & 0xff,
			 (unsigned) (address >> 24) & 0xff);
	snprintf(event->device_id, sizeof(event->device_id), "%03u-%02u-%04u", device / 1000000,
			 device / 10000 % 100, device % 10000);
}

static void
make_event(Event *event, const Options *options, uint64_t number)
{
	static const char *const versions[] = {"2.0.0", "2.1.0", "2.2.1", "2.3.0", "3.0.1"};
	static const char *const devices[] = {"android", "ios", "web"};
	uint64_t state = random_of(options->seed, 2, number);
	uint64_t second = FIRST_SECOND + number / EVENTS_PER_SECOND;
	unsigned locale = (unsigned) below(&state, 50);

	make_user(event, options->seed, below(&state, USERS));
	event->app_version = versions[below(&state, 5)];
	event->device_type = devices[below(&state, 3)];
	event->locale[0] = (char) ('A' + locale / 5);
	event->locale[1] = "KLMNR"[locale % 5];
	event->locale[2] = '\0';
	if (share(&state) < 0.1)
		second -= below(&state, DISORDER_SECONDS + 1);
	snprintf(event->timestamp, sizeof(event->timestamp), "%" PRIu64, second);
	event->nested = share(&state) < options->nested;
}

static Kind
choose_kind(const Options *options, uint64_t number)
{
	uint64_t state = random_of(options->seed, 3, number);
	double draw = share(&state);

	for (Kind kind = GOOD + 1; kind < KINDS; kind++)
	{
		if (draw < options->shares[kind])
			return kind;
		draw -= options->shares[kind];
	}
	return GOOD;
}

static void
break_event(Event *event, Kind kind, uint64_t number)
{
	switch (kind)
	{
		case MISSING:
			event->device_type = NULL;
			break;
		case WRONG_TYPE:
			if (number % 2)
				event->user_id[35] = '\0';
			else
				snprintf(event->timestamp, sizeof(event->timestamp), "yesterday");
			break;
		case CHECK:
			event->device_type = "toaster";
			break;
		default:
			break;
	}
}

/* Writes the document; returns its length. */
static size_t
write_event(const Event *event, char *text)
{
	char device[40] = "";

	if (event->device_type)
		snprintf(device, sizeof(device), "\"device_type\":\"%s\",", event->device_type);
	return (size_t) snprintf(
		text, EVENT_MAX,
		"{\"user_id\":\"%s\",\"app_version\":\"%s\",%s\"ip\":\"%s\",\"locale\":\"%s\","
		"\"device_id\":\"%s\",%s\"timestamp\":\"%s\"}",
		event->user_id, event->app_version, device, event->ip, event->locale, event->device_id,
		event->nested ? "\"geo\":{\"lat\":52.5,\"lon\":13.4,\"tags\":[\"a\",\"b\"]}," : "",
		event->timestamp);
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

static rd_kafka_t *
make_producer(const Options *options, Totals *totals)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256];
	rd_kafka_t *client;

	set(conf, "bootstrap.servers", options->bootstrap);
	set(conf, "compression.type", "lz4");
	set(conf, "linger.ms", "20");
	set(conf, "batch.num.messages", "10000");
	set(conf, "queue.buffering.max.messages", "500000");
	set(conf, "delivery.report.only.error", "true");
	rd_kafka_conf_set_opaque(conf, totals);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	if (client == NULL)
		fail("no producer", error);
	return client;
}

/* Waits while the queue is full; any other error ends the program. */
static void
produce(rd_kafka_t *client, rd_kafka_topic_t *topic, int partition, char *text, size_t length)
{
	while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, text, length, NULL, 0, NULL) !=
		   0)
	{
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			fail("could not produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(client, 10);
	}
}

static void
produce_all(const Options *options, Totals *totals)
{
	rd_kafka_t *client = make_producer(options, totals);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, options->topic, NULL);
	rd_kafka_resp_err_t error;

	for (uint64_t number = 0; number < options->events; number++)
	{
		uint64_t state = random_of(options->seed, 4, number);
		int partition = (int) below(&state, (uint64_t) options->partitions);
		Kind kind = choose_kind(options, number);
		Event event;
		char text[EVENT_MAX];
		size_t length;

		make_event(&event, options, number);
		break_event(&event, kind, number);
		length = write_event(&event, text);
		if (kind == NOT_JSON)
			length = 1 + below(&state, length - 1);
		produce(client, topic, partition, text, length);
		totals->kinds[kind]++;
		totals->bytes += length;
		if (number % 1000 == 0)
			rd_kafka_poll(client, 0);
	}
	error = rd_kafka_flush(client, 60000);
	if (error)
		fail("could not flush", rd_kafka_err2str(error));
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(client);
}

/* ---------------------------------------------------------------- the program */

static void
usage(FILE *to)
{
	fprintf(to, "generate --bootstrap HOST:PORT --topic TOPIC --events N [--partitions 4]\n"
				"         [--seed 1] [--nested SHARE] [--not-json SHARE] [--missing SHARE]\n"
				"         [--wrong-type SHARE] [--check SHARE]\n"
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

static Options
read_options(int argc, char **argv)
{
	static const struct option known[] = {{"bootstrap", required_argument, NULL, 'b'},
										  {"topic", required_argument, NULL, 't'},
										  {"events", required_argument, NULL, 'e'},
										  {"partitions", required_argument, NULL, 'p'},
										  {"seed", required_argument, NULL, 's'},
										  {"nested", required_argument, NULL, 'n'},
										  {"not-json", required_argument, NULL, 'J'},
										  {"missing", required_argument, NULL, 'M'},
										  {"wrong-type", required_argument, NULL, 'W'},
										  {"check", required_argument, NULL, 'C'},
										  {"help", no_argument, NULL, 'h'},
										  {NULL, 0, NULL, 0}};
	Options options = {.partitions = 4, .seed = 1};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
	{
		switch (option)
		{
			case 'b':
				options.bootstrap = optarg;
				break;
			case 't':
				options.topic = optarg;
				break;
			case 'e':
				options.events = read_number(optarg, 1);
				break;
			case 'p':
				options.partitions = (int) read_number(optarg, 1);
				break;
			case 's':
				options.seed = read_number(optarg, 0);
				break;
			case 'n':
				options.nested = read_share(optarg);
				break;
			case 'J':
				options.shares[NOT_JSON] = read_share(optarg);
				break;
			case 'M':
				options.shares[MISSING] = read_share(optarg);
				break;
			case 'W':
				options.shares[WRONG_TYPE] = read_share(optarg);
				break;
			case 'C':
				options.shares[CHECK] = read_share(optarg);
				break;
			case 'h':
				usage(stdout);
				exit(0);
			default:
				usage(stderr);
				exit(2);
		}
	}
	if (options.bootstrap == NULL || options.topic == NULL || options.events == 0 || optind < argc)
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
	Totals totals = {0};
	struct timespec begin;
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	produce_all(&options, &totals);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (totals.failed)
		fail("events were not confirmed by the broker", options.topic);
	printf("{\"events\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.3f", options.events,
		   totals.bytes,
		   (double) (end.tv_sec - begin.tv_sec) + (double) (end.tv_nsec - begin.tv_nsec) / 1e9);
	for (Kind kind = GOOD; kind < KINDS; kind++)
		printf(", \"%s\": %" PRIu64, kind_names[kind], totals.kinds[kind]);
	printf("}\n");
	return 0;
}
