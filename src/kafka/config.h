/*
 * config.h - options of servers and user mappings: a closed list of librdkafka's properties.
 */
#ifndef STREAMAGG_KAFKA_CONFIG_H
#define STREAMAGG_KAFKA_CONFIG_H

typedef enum KafkaScope
{
	KAFKA_SERVER = 1,
	KAFKA_MAPPING = 2
} KafkaScope;

/*
 * Checks one option.  Errors: HV00D unknown, 0A000 of a later version, HV024 a value that librdkafka
 * does not take, 42501 a file path from somebody who may not read the server's files.
 */
extern void kafka_check_option(KafkaScope scope, const char *name, const char *value);

extern const char *kafka_library_version(void);

#endif
