/*
 * security.h - who may connect how: rules over all options of a server and its user mappings.
 *
 * Options are those of kafka_server_options().
 */
#ifndef STREAMAGG_KAFKA_SECURITY_H
#define STREAMAGG_KAFKA_SECURITY_H

#include "foreign/foreign.h"

#include "config.h"

extern KafkaLayer kafka_security_layers(List *options);

/*
 * Errors: HV00J SASL without a mechanism, 42501 what the role may not: passwords without TLS,
 * brokers whose name is not checked, files of the server.  The role is who writes the options, and
 * the server's owner when they are used.
 */
extern void kafka_security_check(List *options, Oid role);

/* 42501 when the new options of the server give up what the old ones protected. */
extern void kafka_security_refuse_downgrade(const char *server, List *before, List *after);

/* 28000 where SASL is used without a user name and a password of the user mapping. */
extern void kafka_security_require_login(const ForeignServer *server, Oid user, List *mapping);

#endif
