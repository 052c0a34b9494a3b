/*
 * config.h - options of servers and user mappings: a closed list of librdkafka's properties.
 */
#ifndef STREAMAGG_KAFKA_CONFIG_H
#define STREAMAGG_KAFKA_CONFIG_H

#include "nodes/pg_list.h"

typedef enum KafkaScope
{
	KAFKA_SERVER = 1,
	KAFKA_MAPPING = 2
} KafkaScope;

/* What lies between us and the protocol; a set of flags. */
typedef enum KafkaLayer
{
	KAFKA_TLS = 1,
	KAFKA_SASL = 2
} KafkaLayer;

/*
 * Checks names and values.  Errors: HV00D unknown, 0A000 of a later version, HV024 a value that
 * cannot be taken, 42501 a reference to a secret that the role may not make.
 */
extern void kafka_check_options(KafkaScope scope, List *options, Oid role);

/* The options with what their preset adds, words spelt as librdkafka knows them; palloc'd. */
extern List *kafka_complete_options(KafkaScope scope, List *options, const char *preset);
/* The same for a server, whose preset is one of its options. */
extern List *kafka_server_options(List *options);

/* librdkafka's name of an option; NULL when it has none, or these layers have no use for it. */
extern const char *kafka_option_property(KafkaScope scope, const char *option, KafkaLayer layers);
/* The option whose property librdkafka's text names, or NULL. */
extern const char *kafka_option_in_text(const char *text);
/* For messages: option "x". */
extern char *kafka_option_label(const char *option);

/* Raises what a client of the user would, but for what its brokers say. */
extern void kafka_check_connection(Oid server, Oid user);

extern const char *kafka_library_version(void);

#endif
