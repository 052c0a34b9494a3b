/*
 * security.c - who may connect how.
 *
 * A server's owner decides where passwords go and how well they are protected on the way.  What may
 * harm others, or reads what is the database server's own, needs the rights that PostgreSQL asks for
 * elsewhere.  Nothing ambient ever stands in for a missing credential.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "options.h"
#include "security.h"
#include "streamagg.h"

static bool
has_value(List *options, const char *name, const char *value)
{
	return strcmp(options_get(options, name, ""), value) == 0;
}

KafkaLayer
kafka_security_layers(List *options)
{
	bool both = has_value(options, "security_protocol", "sasl_ssl");
	KafkaLayer layers = 0;

	if (both || has_value(options, "security_protocol", "ssl"))
		layers |= KAFKA_TLS;
	if (both || has_value(options, "security_protocol", "sasl_plaintext"))
		layers |= KAFKA_SASL;
	return layers;
}

/* librdkafka's default is GSSAPI, which takes what it finds in the server's environment. */
static void
require_mechanism(List *options)
{
	if (options_get(options, "sasl_mechanism", NULL) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"sasl_mechanism\" is missing"),
				 errdetail("security_protocol '%s' needs it.",
						   options_get(options, "security_protocol", "")),
				 errhint("Add sasl_mechanism 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'.")));
}

static void
require_encrypted_password(List *options, Oid role)
{
	if (has_value(options, "sasl_mechanism", "PLAIN") &&
		(kafka_security_layers(options) & KAFKA_TLS) == 0 && !superuser_arg(role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" may not have passwords sent without encryption",
							   GetUserNameFromId(role, false)),
						errdetail("PLAIN over sasl_plaintext shows them to the network."),
						errhint("Use security_protocol 'sasl_ssl' or a SCRAM mechanism. A server "
								"that belongs to a superuser may have it.")));
}

static void
require_checked_host(List *options, Oid role)
{
	if (has_value(options, "ssl_endpoint_identification_algorithm", "none") && !superuser_arg(role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" may not leave the names of brokers unchecked",
							   GetUserNameFromId(role, false)),
						errhint("Leave out option ssl_endpoint_identification_algorithm. A server "
								"that belongs to a superuser may have it.")));
}

static void
require_file_rights(List *options, Oid role)
{
	if (options_get(options, "ssl_ca_location", NULL) != NULL &&
		!has_privs_of_role(role, ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" may not use option \"ssl_ca_location\"",
							   GetUserNameFromId(role, false)),
						errdetail("Only members of pg_read_server_files may."),
						errhint("Give the certificate itself in option ssl_ca_pem.")));
}

void
kafka_security_check(List *options, Oid role)
{
	if (kafka_security_layers(options) & KAFKA_SASL)
	{
		require_mechanism(options);
		require_encrypted_password(options, role);
	}
	require_checked_host(options, role);
	require_file_rights(options, role);
}

void
kafka_security_refuse_downgrade(const char *server, List *before, List *after)
{
	if ((kafka_security_layers(before) & KAFKA_TLS) && !(kafka_security_layers(after) & KAFKA_TLS))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser to take TLS from server \"%s\"", server),
						errdetail("Passwords in its user mappings were written for a connection "
								  "with TLS."),
						errhint("Create another server.")));
}

void
kafka_security_require_login(const ForeignServer *server, Oid user, List *mapping)
{
	const char *role = GetUserNameFromId(user, false);

	if (options_get(mapping, "username", NULL) && options_get(mapping, "password", NULL))
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
		 errmsg("role \"%s\" has no user name and password for server \"%s\"", role,
				server->servername),
		 errdetail("The server uses SASL, and only user mappings hold credentials."),
		 errhint("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (username 'u', password 'p'); or "
				 "add what is missing there.",
				 quote_identifier(role), quote_identifier(server->servername))));
}
