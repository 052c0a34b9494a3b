/*
 * credentials.c - the properties of a client: those of the server, the credentials of the user.
 *
 * Whatever the catalogues hold is checked anew, with the rights of the server's owner: he decides
 * which brokers get what is read here.  Secrets are read last and only when they are needed.
 */
#include "postgres.h"

#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/syscache.h"

#include "client.h"
#include "config.h"
#include "options.h"
#include "secret.h"
#include "security.h"
#include "streamagg.h"

/* ---------------------------------------------------------------- what the catalogues say */

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

static List *
server_settings(const ForeignServer *server)
{
	List *options;

	kafka_check_options(KAFKA_SERVER, server->options, server->owner);
	options = kafka_server_options(server->options);
	kafka_security_check(options, server->owner);
	return options;
}

/* What a connection over these layers needs of the mapping, secrets not read yet. */
static List *
credentials(const ForeignServer *server, Oid user, List *settings)
{
	KafkaLayer layers = kafka_security_layers(settings);
	List *mapping = NIL;
	ListCell *cell;

	if (layers == 0)
		return NIL;
	mapping = mapping_options(server->serverid, user);
	kafka_check_options(KAFKA_MAPPING, mapping, server->owner);
	mapping = kafka_complete_options(KAFKA_MAPPING, mapping, options_get(settings, "preset", NULL));
	if (layers & KAFKA_SASL)
		kafka_security_require_login(server, user, mapping);
	foreach (cell, mapping)
	{
		DefElem *option = lfirst(cell);

		if (!kafka_option_property(KAFKA_MAPPING, option->defname, layers))
			mapping = foreach_delete_current(mapping, cell);
	}
	return mapping;
}

static void
read_secrets(List *mapping)
{
	ListCell *cell;

	foreach (cell, mapping)
	{
		DefElem *option = lfirst(cell);

		option->arg = (Node *) makeString(
			secret_read(defGetString(option), kafka_option_label(option->defname)));
	}
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
apply(rd_kafka_conf_t *conf, KafkaScope scope, List *options, KafkaLayer layers)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);
		const char *property = kafka_option_property(scope, option->defname, layers);

		if (property)
			kafka_conf_set(conf, property, defGetString(option));
	}
}

static void
hide_passwords(KafkaTrouble *trouble, List *mapping)
{
	strlcpy(trouble->hidden[0], options_get(mapping, "password", ""), KAFKA_HIDDEN_BYTES);
	strlcpy(trouble->hidden[1], options_get(mapping, "ssl_key_password", ""), KAFKA_HIDDEN_BYTES);
}

rd_kafka_conf_t *
kafka_conf_create(Oid serverid, Oid user, int memory_kb, KafkaTrouble *trouble)
{
	const ForeignServer *server = GetForeignServer(serverid);
	List *settings = server_settings(server);
	List *mapping = credentials(server, user, settings);
	KafkaLayer layers = kafka_security_layers(settings);
	rd_kafka_conf_t *conf;

	read_secrets(mapping);
	memset(trouble, 0, sizeof(*trouble));
	hide_passwords(trouble, mapping);
	conf = rd_kafka_conf_new();
	kafka_conf_set(conf, "client.id", "streamagg");
	kafka_conf_set(conf, "isolation.level", "read_committed");
	kafka_conf_set(conf, "allow.auto.create.topics", "false");
	kafka_conf_set(conf, "log.queue", "true");
	/* before 2.0 it was none */
	kafka_conf_set(conf, "ssl.endpoint.identification.algorithm", "https");
	/* librdkafka 2.0 sleeps a second when the queue is full: about a second of traffic fits in */
	kafka_conf_set(conf, "queued.min.messages", "1000000");
	kafka_conf_set(conf, "queued.max.messages.kbytes", psprintf("%d", memory_kb));
	apply(conf, KAFKA_SERVER, settings, layers);
	apply(conf, KAFKA_MAPPING, mapping, layers);
	rd_kafka_conf_set_opaque(conf, trouble);
	return conf;
}

/* The worker would raise it, too, but only start() says it to somebody. */
void
kafka_check_connection(Oid server, Oid user)
{
	KafkaTrouble trouble;

	rd_kafka_conf_destroy(kafka_conf_create(server, user, 1024, &trouble));
}
