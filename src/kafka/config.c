/*
 * config.c - which of librdkafka's properties may be set, where, and to what.
 *
 * The list is closed, because some properties load code, run commands or read and write files.  It
 * is applied by the validator and again before each use.  Secrets live in user mappings only.  Who
 * may use what is said in security.c.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"

#include "client.h"
#include "config.h"
#include "options.h"
#include "secret.h"
#include "streamagg.h"

typedef struct Property
{
	const char *option;
	const char *property;
	KafkaScope scope;
	KafkaLayer layer;		  /* without which it is not used */
	const char *const *words; /* all its values, however they are spelt; NULL: librdkafka judges */
	const char *later;		  /* why it is refused for now */
} Property;

static const char *const protocols[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl", NULL};
/* no mechanism that finds credentials by itself, as GSSAPI and OAUTHBEARER do */
static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", NULL};
static const char *const isolation_levels[] = {"read_committed", "read_uncommitted", NULL};
static const char *const identifications[] = {"https", "none", NULL};
static const char *const address_families[] = {"any", "v4", "v6", NULL};
static const char *const preset_names[] = {"plain", "event_hubs", "confluent_cloud", NULL};

static const Property properties[] = {
	{"bootstrap_servers", "bootstrap.servers", KAFKA_SERVER},
	{"preset", NULL, KAFKA_SERVER, 0, preset_names},
	{"client_id", "client.id", KAFKA_SERVER},
	{"security_protocol", "security.protocol", KAFKA_SERVER, 0, protocols},
	{"sasl_mechanism", "sasl.mechanism", KAFKA_SERVER, KAFKA_SASL, mechanisms},
	{"isolation_level", "isolation.level", KAFKA_SERVER, 0, isolation_levels},
	{"ssl_ca_location", "ssl.ca.location", KAFKA_SERVER, KAFKA_TLS},
	{"ssl_ca_pem", "ssl.ca.pem", KAFKA_SERVER, KAFKA_TLS},
	{"ssl_endpoint_identification_algorithm", "ssl.endpoint.identification.algorithm", KAFKA_SERVER,
	 KAFKA_TLS, identifications},
	{"fetch_min_bytes", "fetch.min.bytes", KAFKA_SERVER},
	{"fetch_max_bytes", "fetch.max.bytes", KAFKA_SERVER},
	{"fetch_message_max_bytes", "fetch.message.max.bytes", KAFKA_SERVER},
	{"fetch_wait_max_ms", "fetch.wait.max.ms", KAFKA_SERVER},
	{"fetch_error_backoff_ms", "fetch.error.backoff.ms", KAFKA_SERVER},
	{"queued_min_messages", "queued.min.messages", KAFKA_SERVER},
	{"queued_max_messages_kbytes", "queued.max.messages.kbytes", KAFKA_SERVER},
	{"receive_message_max_bytes", "receive.message.max.bytes", KAFKA_SERVER},
	{"socket_timeout_ms", "socket.timeout.ms", KAFKA_SERVER},
	{"socket_keepalive_enable", "socket.keepalive.enable", KAFKA_SERVER},
	{"socket_connection_setup_timeout_ms", "socket.connection.setup.timeout.ms", KAFKA_SERVER},
	{"reconnect_backoff_ms", "reconnect.backoff.ms", KAFKA_SERVER},
	{"reconnect_backoff_max_ms", "reconnect.backoff.max.ms", KAFKA_SERVER},
	{"connections_max_idle_ms", "connections.max.idle.ms", KAFKA_SERVER},
	{"metadata_max_age_ms", "metadata.max.age.ms", KAFKA_SERVER},
	{"broker_address_family", "broker.address.family", KAFKA_SERVER, 0, address_families},
	{"schema_registry", NULL, KAFKA_SERVER, 0, NULL, "json is the only format of this version."},
	{"username", "sasl.username", KAFKA_MAPPING, KAFKA_SASL},
	{"password", "sasl.password", KAFKA_MAPPING, KAFKA_SASL},
	{"ssl_certificate_pem", "ssl.certificate.pem", KAFKA_MAPPING, KAFKA_TLS},
	{"ssl_key_pem", "ssl.key.pem", KAFKA_MAPPING, KAFKA_TLS},
	{"ssl_key_password", "ssl.key.password", KAFKA_MAPPING, KAFKA_TLS},
};

/* What a preset sets where the user does not. */
static const struct
{
	const char *preset;
	KafkaScope scope;
	const char *option;
	const char *value;
} presets[] = {
	{"event_hubs", KAFKA_SERVER, "security_protocol", "sasl_ssl"},
	{"event_hubs", KAFKA_SERVER, "sasl_mechanism", "PLAIN"},
	{"event_hubs", KAFKA_MAPPING, "username", "$ConnectionString"},
	{"confluent_cloud", KAFKA_SERVER, "security_protocol", "sasl_ssl"},
	{"confluent_cloud", KAFKA_SERVER, "sasl_mechanism", "PLAIN"},
};

static const Property *
find_property(KafkaScope scope, const char *name)
{
	const char *names[lengthof(properties)];
	int count = 0;

	for (size_t i = 0; i < lengthof(properties); i++)
	{
		if (properties[i].scope != scope)
			continue;
		if (strcmp(properties[i].option, name) == 0)
			return &properties[i];
		if (properties[i].later == NULL)
			names[count++] = properties[i].option;
	}
	options_raise_unknown(name, names, count);
}

/* ---------------------------------------------------------------- values */

/* The word as the table has it, NULL for none. */
static const char *
find_word(const char *const *words, const char *value)
{
	for (; *words; words++)
		if (pg_strcasecmp(value, *words) == 0)
			return *words;
	return NULL;
}

static char *
list_words(const char *const *words)
{
	StringInfoData list;

	initStringInfo(&list);
	for (; *words; words++)
		appendStringInfo(&list, "%s%s", list.len == 0 ? "" : words[1] ? ", " : " or ", *words);
	return list.data;
}

/* What librdkafka says of a value, palloc'd; NULL when it takes it. */
static char *
judge(const Property *property, const char *value)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256] = "";
	bool fine = rd_kafka_conf_set(conf, property->property, value, error, sizeof(error)) ==
				RD_KAFKA_CONF_OK;

	rd_kafka_conf_destroy(conf);
	for (size_t end = strlen(error); end > 0 && strchr("\n.", error[end - 1]); end--)
		error[end - 1] = '\0';
	return fine ? NULL : psprintf("%s.", kafka_clean_text(error));
}

/* A secret is never shown, and what librdkafka says may hold it. */
static void
check_value(const Property *property, const char *value)
{
	const char *fault;

	if (*value == '\0')
		fault = "It must not be empty.";
	else if (property->words)
		fault = find_word(property->words, value)
					? NULL
					: psprintf("It must be %s.", list_words(property->words));
	else
		fault = judge(property, value);
	if (fault)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("invalid value for option \"%s\"", property->option),
						property->scope == KAFKA_SERVER ? errdetail("%s", fault) : 0));
}

static void
check_option(KafkaScope scope, const char *name, const char *value, Oid role)
{
	const Property *property = find_property(scope, name);

	if (property->later)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("option \"%s\" is not supported yet", name),
						errdetail("%s", property->later)));
	if (scope == KAFKA_MAPPING && secret_is_reference(value))
		secret_require_rights(value, role, kafka_option_label(name));
	else
		check_value(property, value);
}

void
kafka_check_options(KafkaScope scope, List *options, Oid role)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);

		check_option(scope, option->defname, defGetString(option), role);
	}
}

/* ---------------------------------------------------------------- what is meant */

static DefElem *
make_option(const char *name, const char *value)
{
	return makeDefElem(pstrdup(name), (Node *) makeString(pstrdup(value)), -1);
}

List *
kafka_complete_options(KafkaScope scope, List *options, const char *preset)
{
	List *completed = NIL;
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);
		const char *value = defGetString(option);
		const char *const *words = find_property(scope, option->defname)->words;
		const char *word = words ? find_word(words, value) : NULL;

		completed = lappend(completed, make_option(option->defname, word ? word : value));
	}
	for (size_t i = 0; preset && i < lengthof(presets); i++)
		if (presets[i].scope == scope && strcmp(presets[i].preset, preset) == 0 &&
			options_get(options, presets[i].option, NULL) == NULL)
			completed = lappend(completed, make_option(presets[i].option, presets[i].value));
	return completed;
}

List *
kafka_server_options(List *options)
{
	const char *preset = options_get(options, "preset", NULL);

	return kafka_complete_options(KAFKA_SERVER, options,
								  preset ? find_word(preset_names, preset) : NULL);
}

const char *
kafka_option_property(KafkaScope scope, const char *option, KafkaLayer layers)
{
	const Property *property = find_property(scope, option);

	return (property->layer & ~layers) == 0 ? property->property : NULL;
}

const char *
kafka_option_in_text(const char *text)
{
	for (size_t i = 0; i < lengthof(properties); i++)
		if (properties[i].property && strstr(text, properties[i].property))
			return properties[i].option;
	return NULL;
}

char *
kafka_option_label(const char *option)
{
	return psprintf("option \"%s\"", option);
}

const char *
kafka_library_version(void)
{
	return rd_kafka_version_str();
}
