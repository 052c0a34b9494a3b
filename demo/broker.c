/*
 * broker.c -- the demo's Kafka: librdkafka's mock cluster and a producer of user-login events.
 *
 * One process that a shell script can start, wait for and end: its first line is
 * "bootstrap HOST:PORT" (the mock takes a free port of 127.0.0.1), and it dies with its parent.
 * It must never be linked into PostgreSQL: one malformed frame aborts the mock. Nor is it a broker
 * for real data: everything is in memory, of each partition only the newest 5 MB are kept.
 * Called by demo/run; by hand: cc broker.c -lrdkafka && ./a.out --rate 100
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define TOPIC "user-login"
#define PARTITIONS 4
#define USERS 10000
#define BACKLOG_MS (10 * 60 * 1000) /* the backlog's events are spread over this time */
#define TICK_MS 20
#define EVENT_MAX 400

/* What is wrong with an event. Each of the broken kinds breaks one rule of demo.sql. */
typedef enum EventKind
{
	EVENT_GOOD,
	EVENT_NO_DEVICE_TYPE,
	EVENT_UNKNOWN_DEVICE_TYPE,
	EVENT_NOT_JSON,
	EVENT_BAD_TIMESTAMP,
	EVENT_KINDS
} EventKind;

/* Shares of the broken kinds in thousandths; the rest is good. */
static const unsigned kind_permille[EVENT_KINDS] = {
	[EVENT_NO_DEVICE_TYPE] = 20,
	[EVENT_UNKNOWN_DEVICE_TYPE] = 5,
	[EVENT_NOT_JSON] = 1,
	[EVENT_BAD_TIMESTAMP] = 2,
};

typedef struct Options
{
	int64_t rate;	 /* events per second */
	int64_t backlog; /* events produced at once, before the steady rate */
	int64_t seconds; /* time of producing; 0: until a signal */
	int64_t seed;
} Options;

typedef struct Broker
{
	rd_kafka_t *rk; /* owns the mock cluster, too */
	rd_kafka_topic_t *topic;
	uint64_t random; /* state of next_random */
	int64_t produced[EVENT_KINDS];
	int64_t failed; /* deliveries that were not confirmed */
} Broker;

static volatile sig_atomic_t ended = 0;

static void
on_signal(int signo)
{
	(void) signo;
	ended = 1;
}

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "broker: %s: %s\n", what, why);
	exit(1);
}

/* Milliseconds since 1970. */
static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* splitmix64 (Steele, Lea, Flood 2014): the same seed gives the same events but for their times. */
static uint64_t
mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t
next_random(Broker *b)
{
	b->random += UINT64_C(0x9e3779b97f4a7c15);
	return mix(b->random);
}

static EventKind
choose_kind(Broker *b)
{
	unsigned draw = next_random(b) % 1000;

	for (EventKind kind = EVENT_GOOD + 1; kind < EVENT_KINDS; kind++)
	{
		if (draw < kind_permille[kind])
			return kind;
		draw -= kind_permille[kind];
	}
	return EVENT_GOOD;
}

/* A user's id, a version 4 uuid; out takes 37 bytes. */
static void
format_user_id(uint64_t user, char *out)
{
	uint64_t hi = mix(2 * user + 1);
	uint64_t lo = mix(2 * user + 2);

	snprintf(out, 37, "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
			 hi >> 32, (hi >> 16) & 0xffff, hi & 0xfff, ((lo >> 48) & 0x3fff) | 0x8000,
			 lo & UINT64_C(0xffffffffffff));
}

/*
 * Writes one event of a user into out (EVENT_MAX bytes) and returns its length. What belongs to a
 * user (device, ip, locale) follows from the user's number alone.
 */
static int
format_event(char *out, EventKind kind, uint64_t user, const char *user_id, int64_t event_ms)
{
	static const char *const versions[] = {"2.1.0", "2.2.0", "2.2.1", "2.3.0", "2.3.0"};
	static const char *const devices[] = {"android", "android", "ios", "web"};
	static const char *const locales[] = {"DE", "FR", "GB", "IN", "JP", "RU", "US", "BR"};
	uint64_t h = mix(user + UINT64_C(0x5eed));
	char device[40] = "";
	char timestamp[24] = "yesterday";

	if (kind == EVENT_NOT_JSON)
		return snprintf(out, EVENT_MAX, "{\"user_id\":\"%s\",\"app_ver", user_id);
	if (kind == EVENT_UNKNOWN_DEVICE_TYPE)
		snprintf(device, sizeof device, "\"device_type\":\"toaster\",");
	else if (kind != EVENT_NO_DEVICE_TYPE)
		snprintf(device, sizeof device, "\"device_type\":\"%s\",", devices[h & 3]);
	if (kind != EVENT_BAD_TIMESTAMP)
		snprintf(timestamp, sizeof timestamp, "%" PRId64, event_ms / 1000);

	return snprintf(out, EVENT_MAX,
					"{\"user_id\":\"%s\",\"app_version\":\"%s\",%s\"ip\":\"10.%u.%u.%u\","
					"\"locale\":\"%s\",\"device_id\":\"%03u-%02u-%04u\",\"timestamp\":\"%s\"}",
					user_id, versions[(h >> 8) % 5], device, (unsigned) (h >> 16) & 255,
					(unsigned) (h >> 24) & 255, (unsigned) (h >> 32) & 255, locales[(h >> 2) & 7],
					(unsigned) (h >> 40) % 1000, (unsigned) (h >> 48) % 100,
					(unsigned) (h >> 50) % 10000, timestamp);
}

/*
 * Produces one event that happened about base_ms: one in ten up to 20 s earlier, the others up to
 * 1 s. The user is the record's key and decides its partition, as with Kafka's own partitioner.
 */
static void
produce_event(Broker *b, int64_t base_ms)
{
	uint64_t user = next_random(b) % USERS;
	uint64_t jitter = next_random(b);
	int64_t event_ms = base_ms - (int64_t) (jitter / 10 % (jitter % 10 == 0 ? 20000 : 1000));
	EventKind kind = choose_kind(b);
	char user_id[37];
	char event[EVENT_MAX];
	int len;

	format_user_id(user, user_id);
	len = format_event(event, kind, user, user_id, event_ms);
	while (rd_kafka_produce(b->topic, user % PARTITIONS, RD_KAFKA_MSG_F_COPY, event, len, user_id,
							strlen(user_id), NULL) != 0)
	{
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			fail("could not produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(b->rk, TICK_MS);
	}
	b->produced[kind]++;
}

static int64_t
count_produced(const Broker *b)
{
	int64_t total = 0;

	for (int kind = 0; kind < EVENT_KINDS; kind++)
		total += b->produced[kind];
	return total;
}

/* Returns how many records the mock's retention has removed so far. */
static int64_t
count_removed(Broker *b)
{
	int64_t removed = 0;

	for (int32_t part = 0; part < PARTITIONS; part++)
	{
		int64_t low, high;
		rd_kafka_resp_err_t err =
			rd_kafka_query_watermark_offsets(b->rk, TOPIC, part, &low, &high, 5000);

		if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
			fail("could not read the partitions' ends", rd_kafka_err2str(err));
		removed += low;
	}
	return removed;
}

/* Waits until the cluster has confirmed all that was produced. */
static void
confirm(Broker *b)
{
	rd_kafka_resp_err_t err = rd_kafka_flush(b->rk, 10000);

	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("could not flush", rd_kafka_err2str(err));
	if (b->failed > 0)
		fail("could not produce", "some events were not confirmed");
}

/* Produces the backlog. Nobody has read it yet, so a record lost by retention is an error. */
static void
produce_backlog(Broker *b, int64_t count)
{
	int64_t first_ms = now_ms() - BACKLOG_MS;

	for (int64_t i = 0; i < count && !ended; i++)
		produce_event(b, first_ms + BACKLOG_MS * i / count);
	confirm(b);
	if (count_removed(b) > 0)
		fail("the backlog is more than the mock cluster keeps", "take a smaller --backlog");
	printf("backlog %" PRId64 " events\n", count_produced(b));
}

/* Produces at the given rate until the time is over or a signal comes. */
static void
produce_steadily(Broker *b, const Options *options)
{
	int64_t start_ms = now_ms();
	int64_t sent = 0;

	while (!ended)
	{
		int64_t now = now_ms();
		int64_t elapsed = now - start_ms;

		if (options->seconds > 0 && elapsed >= options->seconds * 1000)
			break;
		for (int64_t due = options->rate * elapsed / 1000; sent < due && !ended; sent++)
			produce_event(b, now);
		rd_kafka_poll(b->rk, TICK_MS);
	}
	confirm(b);
}

/* One line; demo/run compares its two numbers with what streamagg counted. */
static void
print_statistics(Broker *b)
{
	int64_t total = count_produced(b);

	printf("produced %" PRId64 " events, %" PRId64 " broken (%" PRId64
		   " without device_type, %" PRId64 " with an unknown one, %" PRId64 " not JSON, %" PRId64
		   " with a bad timestamp); %" PRId64 " no longer kept\n",
		   total, total - b->produced[EVENT_GOOD], b->produced[EVENT_NO_DEVICE_TYPE],
		   b->produced[EVENT_UNKNOWN_DEVICE_TYPE], b->produced[EVENT_NOT_JSON],
		   b->produced[EVENT_BAD_TIMESTAMP], count_removed(b));
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void) rk;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		((Broker *) opaque)->failed++;
}

static void
set_property(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
		fail(name, why);
}

/* Starts the cluster, makes the topic and prints the bootstrap address. */
static void
open_broker(Broker *b)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_mock_cluster_t *cluster;
	rd_kafka_resp_err_t err;
	char why[256];

	set_property(conf, "test.mock.num.brokers", "1");
	set_property(conf, "enable.idempotence", "true"); /* no doubles: the counts must agree */
	set_property(conf, "compression.codec", "zstd");  /* more records in 5 MB a partition */
	set_property(conf, "linger.ms", "20");
	set_property(conf, "log_level", "3");
	rd_kafka_conf_set_opaque(conf, b);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);

	b->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	if (b->rk == NULL)
		fail("could not start the mock cluster", why);
	cluster = rd_kafka_handle_mock_cluster(b->rk);
	err = rd_kafka_mock_topic_create(cluster, TOPIC, PARTITIONS, 1);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("could not create the topic " TOPIC, rd_kafka_err2str(err));
	b->topic = rd_kafka_topic_new(b->rk, TOPIC, NULL);
	printf("bootstrap %s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	printf("librdkafka's mock cluster, in memory only: for this demo, not for production\n");
}

/* Ends with the parent, so that a killed script leaves no broker; SIGPIPE has no say in it. */
static void
prepare_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
		fail("prctl", strerror(errno));
}

/* Reads a whole number from 0 to a billion. */
static int64_t
parse_number(const char *text)
{
	char *end;
	int64_t n = strtoll(text, &end, 10);

	if (end == text || *end != '\0' || n < 0 || n > 1000000000)
		fail("not a number from 0 to 1000000000", text);
	return n;
}

static Options
parse_options(int argc, char **argv)
{
	static const struct option names[] = {{"rate", required_argument, NULL, 'r'},
										  {"backlog", required_argument, NULL, 'b'},
										  {"seconds", required_argument, NULL, 's'},
										  {"seed", required_argument, NULL, 'e'},
										  {NULL, 0, NULL, 0}};
	Options options = {.rate = 2000, .backlog = 200000, .seconds = 0, .seed = 1};
	int opt;

	while ((opt = getopt_long(argc, argv, "", names, NULL)) != -1)
	{
		if (opt == 'r')
			options.rate = parse_number(optarg);
		else if (opt == 'b')
			options.backlog = parse_number(optarg);
		else if (opt == 's')
			options.seconds = parse_number(optarg);
		else if (opt == 'e')
			options.seed = parse_number(optarg);
		else
			fail("usage", "broker [--rate N] [--backlog N] [--seconds N] [--seed N]");
	}
	if (optind < argc)
		fail("unexpected argument", argv[optind]);
	return options;
}

int
main(int argc, char **argv)
{
	Options options = parse_options(argc, argv);
	Broker b = {.random = mix((uint64_t) options.seed)};

	setvbuf(stdout, NULL, _IOLBF, 0);
	prepare_signals();
	open_broker(&b);
	produce_backlog(&b, options.backlog);
	produce_steadily(&b, &options);
	print_statistics(&b);
	while (!ended) /* what was produced stays readable */
		rd_kafka_poll(b.rk, 100);

	rd_kafka_topic_destroy(b.topic);
	rd_kafka_destroy(b.rk);
	return 0;
}
