/*
 * config.c - which of librdkafka's properties may be set, where, and by whom.
 *
 * The list is closed, because some properties load code, run commands or read and write files.  It
 * is applied by the validator and again before each use.  Secrets live in user mappings only.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "client.h"
#include "config.h"
#include "options.h"

typedef struct Property
{
	const char *option;
	const char *property;
	int scopes;
	bool path;		   /* names a file of the server */
	const char *later; /* why it is refused for now */
} Property;

static const Property properties[] = {
	{"bootstrap_servers", "bootstrap.servers", KAFKA_SERVER, false, NULL},
	{"client_id", "client.id", KAFKA_SERVER, false, NULL},
	{"security_protocol", "security.protocol", KAFKA_SERVER, false, NULL},
	{"sasl_mechanism", "sasl.mechanism", KAFKA_SERVER, false, NULL},
	{"isolation_level", "isolation.level", KAFKA_SERVER, false, NULL},
	{"ssl_ca_location", "ssl.ca.location", KAFKA_SERVER, true, NULL},
	{"ssl_ca_pem", "ssl.ca.pem", KAFKA_SERVER, false, NULL},
	{"ssl_endpoint_identification_algorithm", "ssl.endpoint.identification.algorithm", KAFKA_SERVER,
	 false, NULL},
	{"fetch_min_bytes", "fetch.min.bytes", KAFKA_SERVER, false, NULL},
	{"fetch_max_bytes", "fetch.max.bytes", KAFKA_SERVER, false, NULL},
	{"fetch_message_max_bytes", "fetch.message.max.bytes", KAFKA_SERVER, false, NULL},
	{"fetch_wait_max_ms", "fetch.wait.max.ms", KAFKA_SERVER, false, NULL},
	{"fetch_error_backoff_ms", "fetch.error.backoff.ms", KAFKA_SERVER, false, NULL},
	{"queued_min_messages", "queued.min.messages", KAFKA_SERVER, false, NULL},
	{"queued_max_messages_kbytes", "queued.max.messages.kbytes", KAFKA_SERVER, false, NULL},
	{"receive_message_max_bytes", "receive.message.max.bytes", KAFKA_SERVER, false, NULL},
	{"socket_timeout_ms", "socket.timeout.ms", KAFKA_SERVER, false, NULL},
	{"socket_keepalive_enable", "socket.keepalive.enable", KAFKA_SERVER, false, NULL},
	{"socket_connection_setup_timeout_ms", "socket.connection.setup.timeout.ms", KAFKA_SERVER,
	 false, NULL},
	{"reconnect_backoff_ms", "reconnect.backoff.ms", KAFKA_SERVER, false, NULL},
	{"reconnect_backoff_max_ms", "reconnect.backoff.max.ms", KAFKA_SERVER, false, NULL},
	{"connections_max_idle_ms", "connections.max.idle.ms", KAFKA_SERVER, false, NULL},
	{"metadata_max_age_ms", "metadata.max.age.ms", KAFKA_SERVER, false, NULL},
	{"broker_address_family", "broker.address.family", KAFKA_SERVER, false, NULL},
	{"preset", NULL, KAFKA_SERVER, false, "Set the properties themselves."},
	{"schema_registry", NULL, KAFKA_SERVER, false, "json is the only format of this version."},
	{"username", "sasl.username", KAFKA_MAPPING, false, NULL},
	{"password", "sasl.password", KAFKA_MAPPING, false, NULL},
	{"ssl_certificate_pem", "ssl.certificate.pem", KAFKA_MAPPING, false, NULL},
	{"ssl_key_pem", "ssl.key.pem", KAFKA_MAPPING, false, NULL},
	{"ssl_key_password", "ssl.key.password", KAFKA_MAPPING, false, NULL},
};

static const Property *
find_property(KafkaScope scope, const char *name)
{
	const char *names[lengthof(properties)];
	int count = 0;

	for (size_t i = 0; i < lengthof(properties); i++)
	{
		if (!(properties[i].scopes & scope))
			continue;
		if (strcmp(properties[i].option, name) == 0)
			return &properties[i];
		if (properties[i].later == NULL)
			names[count++] = properties[i].option;
	}
	options_raise_unknown(name, names, count);
}

/* A value that librdkafka takes; a secret is never shown. */
static void
check_value(const Property *property, KafkaScope scope, const char *value)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256] = "";
	bool fine = *value != '\0' && rd_kafka_conf_set(conf, property->property, value, error,
													sizeof(error)) == RD_KAFKA_CONF_OK;

	rd_kafka_conf_destroy(conf);
	if (!fine)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("invalid value for option \"%s\"", property->option),
						scope == KAFKA_SERVER && *error ? errdetail("%s", error) : 0));
}

void
kafka_check_option(KafkaScope scope, const char *name, const char *value)
{
	const Property *property = find_property(scope, name);

	if (property->later)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("option \"%s\" is not supported yet", name),
						errdetail("%s", property->later)));
	if (scope == KAFKA_MAPPING &&
		(strncmp(value, "env:", 4) == 0 || strncmp(value, "file:", 5) == 0))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("env: and file: are not supported yet"),
						errhint("Give the value of option \"%s\" itself.", name)));
	if (property->path && !has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be a member of pg_read_server_files to set \"%s\"", name),
						errhint("Give the certificate itself in option ssl_ca_pem.")));
	check_value(property, scope, value);
}

const char *
kafka_library_version(void)
{
	return rd_kafka_version_str();
}

/* ---------------------------------------------------------------- a client's properties */

void
kafka_conf_set(rd_kafka_conf_t *conf, const char *property, const char *value)
{
	char error[256];

	if (rd_kafka_conf_set(conf, property, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		elog(ERROR, "librdkafka does not take property \"%s\"", property);
}

void
kafka_conf_try(rd_kafka_conf_t *conf, const char *property, const char *value)
{
	char error[256];

	(void) rd_kafka_conf_set(conf, property, value, error, sizeof(error));
}

/* Only names on the list get here, whoever wrote the catalogues. */
static void
apply_options(rd_kafka_conf_t *conf, KafkaScope scope, List *options)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);
		const Property *property = find_property(scope, option->defname);

		if (property->property)
			kafka_conf_set(conf, property->property, strVal(option->arg));
	}
}

/* The mapping of the user or of PUBLIC, NIL without one. */
static List *
mapping_options(Oid server, Oid user)
{
	if (!SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user),
							   ObjectIdGetDatum(server)) &&
		!SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
							   ObjectIdGetDatum(server)))
		return NIL;
	return GetUserMapping(user, server)->options;
}

rd_kafka_conf_t *
kafka_conf_create(Oid server, Oid user, int memory_kb, KafkaTrouble *trouble)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	memset(trouble, 0, sizeof(*trouble));
	kafka_conf_set(conf, "client.id", "streamagg");
	kafka_conf_set(conf, "isolation.level", "read_committed");
	kafka_conf_set(conf, "allow.auto.create.topics", "false");
	kafka_conf_set(conf, "log.queue", "true");
	/* librdkafka 2.0 sleeps a second when the queue is full: about a second of traffic fits in */
	kafka_conf_set(conf, "queued.min.messages", "1000000");
	kafka_conf_set(conf, "queued.max.messages.kbytes", psprintf("%d", memory_kb));
	apply_options(conf, KAFKA_SERVER, GetForeignServer(server)->options);
	apply_options(conf, KAFKA_MAPPING, mapping_options(server, user));
	rd_kafka_conf_set_opaque(conf, trouble);
	return conf;
}
