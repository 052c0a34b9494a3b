/*
 * client.h - a librdkafka handle; for the files of kafka/ only.
 */
#ifndef STREAMAGG_KAFKA_CLIENT_H
#define STREAMAGG_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#define KAFKA_SLICE_MS 100 /* the longest that a library call may block */
#define KAFKA_HIDDEN_BYTES 64

/* The last trouble that the library told of; filled by callbacks in the calling thread. */
typedef struct KafkaTrouble
{
	rd_kafka_resp_err_t error;
	int disturbances; /* ever: connections lost, and the like */
	char text[256];
	char hidden[2][KAFKA_HIDDEN_BYTES]; /* beginnings of passwords: no text may hold them */
} KafkaTrouble;

extern void kafka_trouble_clear(KafkaTrouble *trouble);

/*
 * Properties of server and user mapping, with memory_kb for records read ahead; freed by
 * rd_kafka_new or rd_kafka_conf_destroy.  Errors: those of config.h and security.h for the server's
 * owner, F0000 a secret that cannot be read.
 */
extern rd_kafka_conf_t *
kafka_conf_create(Oid server, Oid user, int memory_kb, KafkaTrouble *trouble);
/* For properties that only newer libraries have. */
extern void kafka_conf_try(rd_kafka_conf_t *conf, const char *property, const char *value);
extern void kafka_conf_set(rd_kafka_conf_t *conf, const char *property, const char *value);

/* A handle whose threads have all signals blocked.  Errors: HV00L, 53000 no resources or too many. */
extern rd_kafka_t *kafka_client_create(rd_kafka_type_t type, rd_kafka_conf_t *conf);

/* Ends the handle, waiting 3 s at the most: what hangs is left behind. */
extern void kafka_client_destroy(rd_kafka_t *client);

/* Raises 42602 where no topic can have this name: of some the library makes no object, only NULL. */
extern void kafka_require_topic(const char *name);

/* Takes what an eventfd holds that the library writes to. */
extern void kafka_drain_event(int fd);

/* Serves callbacks, then logs what the library had to say, at most once a minute a text. */
extern void kafka_client_serve(rd_kafka_t *client);

/* Raises the error under its SQLSTATE with a hint; server and topic may be NULL. */
extern void kafka_raise(const char *what, const KafkaTrouble *trouble) pg_attribute_noreturn();
extern int kafka_sqlstate(rd_kafka_resp_err_t error);
extern const char *kafka_hint(rd_kafka_resp_err_t error);

/* An error that may pass by itself. */
extern bool kafka_is_passing(rd_kafka_resp_err_t error);

/* Asks for a topic's partitions, for a slice at the most; *count is -1 on error. */
extern rd_kafka_resp_err_t
kafka_ask_partitions(rd_kafka_t *client, rd_kafka_topic_t *topic, int *count);

/* Waiting will not help: credentials or certificates are wrong. */
extern bool kafka_is_hopeless(const KafkaTrouble *trouble);

/* Text of a broker: printable, cut at 200 characters, palloc'd. */
extern char *kafka_clean_text(const char *text);

#endif
