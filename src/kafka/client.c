/*
 * client.c - life of a librdkafka handle, and its errors in PostgreSQL's words.
 *
 * Library threads run nothing of ours: logs and errors wait in the library's queue until
 * kafka_client_serve() runs their callbacks here.  Callbacks only copy text; the server's log is
 * written after the library has returned, since an error raised inside its frames would leave its
 * locks held.
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "client.h"
#include "config.h"
#include "streamagg.h"

#define LOG_LINES 8
#define DESTROY_SECONDS 3
#define QUIET_MS 60000
#define LONGEST_TOPIC 249
#define CLIENT_FDS 10				  /* about what a client has open */
#define SCRAM_WITH_KAFKA_4 0x02060100 /* older ones send a nonce that Kafka 4 refuses */
#define TEXT_BYTES sizeof(((KafkaTrouble *) NULL)->text)

typedef struct LogLine
{
	bool pending;
	int repeated;
	TimestampTz logged;
	char text[TEXT_BYTES];
} LogLine;

static LogLine lines[LOG_LINES];

/* A broker knows the password that we sent it, and may repeat it in what it says. */
static void
keep_text(char *to, const char *text, const KafkaTrouble *trouble)
{
	for (size_t i = 0; i < lengthof(trouble->hidden); i++)
		if (*trouble->hidden[i] && strstr(text, trouble->hidden[i]))
			text = "(not shown: it holds a password)";
	strlcpy(to, text, TEXT_BYTES);
}

/* Keeps one place for each text, without the parts that differ from one time to the next. */
static void
on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	int place = 0;

	/* CONFWARN: one set of properties serves consumers and producers */
	if (level > LOG_WARNING || strcmp(facility, "CONFWARN") == 0)
		return;
	for (const char *at = facility; *at; at++)
		place = (place * 31 + *at) % LOG_LINES;
	lines[place].repeated++;
	lines[place].pending = true;
	keep_text(lines[place].text, text, rd_kafka_opaque(client));
}

static bool
is_about_topic(int error)
{
	return error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		   error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		   error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static void
on_error(rd_kafka_t *client, int error, const char *text, void *opaque)
{
	KafkaTrouble *trouble = opaque;

	/* no trouble with brokers: whoever reads a topic looks whether it is there */
	if (rd_kafka_type(client) == RD_KAFKA_CONSUMER && is_about_topic(error))
		return;
	trouble->disturbances++;
	/* that all brokers are down says less than why */
	if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && trouble->error)
		return;
	trouble->error = error;
	keep_text(trouble->text, text, trouble);
}

void
kafka_trouble_clear(KafkaTrouble *trouble)
{
	trouble->error = RD_KAFKA_RESP_ERR_NO_ERROR;
	*trouble->text = '\0';
}

/*
 * The library's text may hold parts of a secret, and says whether a file exists: it is told which
 * option it means, and no more.
 */
static void
raise_not_created(rd_kafka_resp_err_t error, const char *text)
{
	const char *option = kafka_option_in_text(text);

	if (error == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("could not create a Kafka client"), errdetail("%s.", text)));
	ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
					errmsg("could not create a Kafka client"),
					option ? errdetail("librdkafka cannot use option \"%s\".", option)
						   : errdetail("librdkafka cannot use these options together."),
					errhint("Check the options of the server and of the user mapping. "
							"Certificates and keys must be PEM, and readable for the database "
							"server.")));
}

static void
release_fds(int count)
{
	while (count-- > 0)
		ReleaseExternalFD();
}

/* False: PostgreSQL needs the rest for files.  Without any it could not even write its WAL. */
static bool
acquire_fds(void)
{
	for (int i = 0; i < CLIENT_FDS; i++)
		if (!AcquireExternalFD())
		{
			release_fds(i);
			return false;
		}
	return true;
}

static void
raise_too_many(void)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					errmsg("too many Kafka clients in one session"),
					errdetail("Each open scan of a topic and each running INSERT has one, which "
							  "takes some %d file descriptors.",
							  CLIENT_FDS),
					errhint("Close cursors over streams, or set max_files_per_process higher.")));
}

rd_kafka_t *
kafka_client_create(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char error[256];
	sigset_t all;
	sigset_t before;
	rd_kafka_t *client;

	if (!acquire_fds())
	{
		rd_kafka_conf_destroy(conf);
		raise_too_many();
	}
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	/* threads inherit the mask: PostgreSQL's signals must reach the main thread only */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	client = rd_kafka_new(type, conf, error, sizeof(error));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (client == NULL)
	{
		rd_kafka_resp_err_t why = rd_kafka_last_error();

		rd_kafka_conf_destroy(conf);
		release_fds(CLIENT_FDS);
		raise_not_created(why, error);
	}
	rd_kafka_set_log_queue(client, NULL);
	return client;
}

void
kafka_require_topic(const char *name)
{
	static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);

	if (length > 0 && length <= LONGEST_TOPIC && strspn(name, legal) == length)
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_NAME),
					errmsg("no topic can have the name \"%s\"", kafka_clean_text(name)),
					errdetail("Names of topics have up to %d letters A to Z, digits, points, "
							  "underscores and hyphens.",
							  LONGEST_TOPIC),
					errhint("Check the stream's option topic.")));
}

static void *
destroy(void *client)
{
	rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return NULL;
}

void
kafka_client_destroy(rd_kafka_t *client)
{
	pthread_t thread;
	struct timespec until;
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, destroy, client) == 0)
	{
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += DESTROY_SECONDS;
		if (pthread_timedjoin_np(thread, NULL, &until) == 0)
			release_fds(CLIENT_FDS);
		else
			pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
kafka_client_serve(rd_kafka_t *client)
{
	rd_kafka_poll(client, 0);
	for (int i = 0; i < LOG_LINES; i++)
	{
		LogLine *line = &lines[i];

		if (!line->pending ||
			!TimestampDifferenceExceeds(line->logged, GetCurrentTimestamp(), QUIET_MS))
			continue;
		ereport(LOG, (errmsg("librdkafka: %s", kafka_clean_text(line->text)),
					  line->repeated > 1
						  ? errdetail("It said this and the like %d times.", line->repeated)
						  : 0));
		line->pending = false;
		line->repeated = 0;
		line->logged = GetCurrentTimestamp();
	}
}

void
kafka_drain_event(int fd)
{
	uint64 ignored;

	if (read(fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		elog(ERROR, "could not read an eventfd: %m");
}

rd_kafka_resp_err_t
kafka_ask_partitions(rd_kafka_t *client, rd_kafka_topic_t *topic, int *count)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, topic, &metadata, KAFKA_SLICE_MS);

	*count = -1;
	if (error)
		return error;
	error = metadata->topic_cnt == 1 ? metadata->topics[0].err
									 : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (error == 0)
		*count = metadata->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(metadata);
	return error;
}

/* ---------------------------------------------------------------- errors */

bool
kafka_is_passing(rd_kafka_resp_err_t error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__TIMED_OUT:
		case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		case RD_KAFKA_RESP_ERR__RESOLVE:
		case RD_KAFKA_RESP_ERR__WAIT_COORD:
		case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
		case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
		case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
		case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
			return true;
		default:
			return false;
	}
}

int
kafka_sqlstate(rd_kafka_resp_err_t error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		case RD_KAFKA_RESP_ERR__SSL:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
			return ERRCODE_UNDEFINED_OBJECT;
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			return ERRCODE_DATA_EXCEPTION;
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return ERRCODE_INVALID_NAME;
		case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
			return ERRCODE_DATETIME_FIELD_OVERFLOW;
		case RD_KAFKA_RESP_ERR_INVALID_RECORD:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case RD_KAFKA_RESP_ERR__BAD_MSG:
		case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
		case RD_KAFKA_RESP_ERR_INVALID_MSG:
			return ERRCODE_DATA_CORRUPTED;
		default:
			return ERRCODE_CONNECTION_FAILURE;
	}
}

bool
kafka_is_hopeless(const KafkaTrouble *trouble)
{
	return trouble->error == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
		   trouble->error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
		   trouble->error == RD_KAFKA_RESP_ERR__SSL;
}

const char *
kafka_hint(rd_kafka_resp_err_t error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
			return rd_kafka_version() < SCRAM_WITH_KAFKA_4
					   ? "Check username and password of the user mapping, and sasl_mechanism of "
						 "the server; for SCRAM with Kafka 4 librdkafka must be 2.6.1 or newer."
					   : "Check username and password of the user mapping, and sasl_mechanism of "
						 "the server.";
		case RD_KAFKA_RESP_ERR__SSL:
			return "Check security_protocol, ssl_ca_pem or ssl_ca_location of the server, and the "
				   "broker's certificate.";
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
			return "The broker's ACLs must allow READ and DESCRIBE on the topic, and WRITE for "
				   "INSERT.";
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
			return "The topic's max.message.bytes and the stream's max_message_bytes say how long "
				   "a record may be.";
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return "Check the stream's option topic.";
		case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
			return "The topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms "
				   "say how far the time of a record may be from the broker's.";
		case RD_KAFKA_RESP_ERR_INVALID_RECORD:
			return "A topic that is compacted takes no record without a key: give the stream a "
				   "column with meta 'key', and this a value.";
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			return "The records were deleted before they were read. A SELECT can be run again; "
				   "to begin a stream again, drop it and make it anew.";
		default:
			return "Check bootstrap_servers of the server, and whether the brokers can be reached "
				   "from the database host.";
	}
}

char *
kafka_clean_text(const char *text)
{
	char *clean = pnstrdup(text, 200);

	for (char *at = clean; *at; at++)
		if ((unsigned char) *at < ' ' || (unsigned char) *at > '~')
			*at = '?';
	return clean;
}

void
kafka_raise(const char *what, const KafkaTrouble *trouble)
{
	rd_kafka_resp_err_t error = trouble->error ? trouble->error : RD_KAFKA_RESP_ERR__TRANSPORT;

	ereport(ERROR, (errcode(kafka_sqlstate(error)), errmsg("%s", what),
					*trouble->text ? errdetail("%s.", kafka_clean_text(trouble->text))
								   : errdetail("%s.", rd_kafka_err2str(error)),
					errhint("%s", kafka_hint(error))));
}
