/*
 * probe.c - short-lived clients in a session: the ends of a topic, and test_connection().
 *
 * Each client is destroyed before the function returns, also on error.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "client.h"
#include "compat.h"
#include "kafka/consumer.h"
#include "kafka/probe.h"
#include "options.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_test_connection);

#define CONNECT_PATIENCE_MS 5000

int
kafka_probe_ends(Oid server, Oid user, const char *topic, int64 **ends)
{
	KafkaConsumerConfig config = {
		.server = server, .user = user, .topic = topic, .max_messages = 1, .memory_kb = 1024};
	KafkaConsumer *volatile consumer = kafka_consumer_create(&config);
	volatile int count = 0;

	PG_TRY();
	{
		count = kafka_consumer_partitions(consumer);
		*ends = palloc(sizeof(int64) * Max(count, 1));
		for (int i = 0; i < count; i++)
			(*ends)[i] = kafka_consumer_offset(consumer, i, KAFKA_LAST);
	}
	PG_FINALLY();
	{
		kafka_consumer_destroy(consumer);
	}
	PG_END_TRY();
	return count;
}

/* ---------------------------------------------------------------- test_connection */

typedef struct Test
{
	ReturnSetInfo *result;
	TimestampTz start;
} Test;

static void
report(Test *test, const char *step, bool ok, const char *detail)
{
	TimestampTz now = GetCurrentTimestamp();
	Interval *elapsed = palloc0(sizeof(Interval));
	Datum values[4];
	bool nulls[4] = {false};

	elapsed->time = now - test->start;
	test->start = now;
	values[0] = CStringGetTextDatum(step);
	values[1] = BoolGetDatum(ok);
	values[2] = CStringGetTextDatum(detail);
	values[3] = IntervalPGetDatum(elapsed);
	tuplestore_putvalues(test->result->setResult, test->result->setDesc, values, nulls);
}

static rd_kafka_resp_err_t
ask_brokers(rd_kafka_t *client, KafkaTrouble *trouble, const struct rd_kafka_metadata **metadata)
{
	TimestampTz start = GetCurrentTimestamp();
	rd_kafka_resp_err_t error;

	do
	{
		CHECK_FOR_INTERRUPTS();
		error = rd_kafka_metadata(client, 0, NULL, metadata, KAFKA_SLICE_MS);
		kafka_client_serve(client);
	} while (error && !kafka_is_hopeless(trouble) &&
			 !TimestampDifferenceExceeds(start, GetCurrentTimestamp(), CONNECT_PATIENCE_MS));
	return error;
}

static void
test_brokers(Test *test, rd_kafka_t *client, KafkaTrouble *trouble)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error = ask_brokers(client, trouble, &metadata);

	if (error)
	{
		const char *why = *trouble->text ? trouble->text : rd_kafka_err2str(error);

		report(test, "brokers", false,
			   psprintf("%s. %s", kafka_clean_text(why),
						kafka_hint(trouble->error ? trouble->error : error)));
		return;
	}
	report(test, "brokers", true,
		   psprintf("%d brokers, %d topics", metadata->broker_cnt, metadata->topic_cnt));
	rd_kafka_metadata_destroy(metadata);
}

static ForeignServer *
usable_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);

	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, STREAMAGG_WRAPPER) != 0)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("server \"%s\" is not of the wrapper %s", name, STREAMAGG_WRAPPER)));
	if (compat_server_aclcheck(server->serverid, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, name);
	return server;
}

/* streamagg.test_connection(server): a row a step; the first that fails is the last. */
Datum
streamagg_test_connection(PG_FUNCTION_ARGS)
{
	const char *name = NameStr(*PG_GETARG_NAME(0));
	Test test = {(ReturnSetInfo *) fcinfo->resultinfo, GetCurrentTimestamp()};
	ForeignServer *server;
	KafkaTrouble *trouble = palloc0(sizeof(KafkaTrouble));
	rd_kafka_t *volatile client;

	streamagg_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	server = usable_server(name);
	if (options_get(server->options, "bootstrap_servers", NULL) == NULL)
	{
		report(&test, "configuration", true, "a local server: streamagg.push() feeds its streams");
		return (Datum) 0;
	}
	client = kafka_client_create(RD_KAFKA_CONSUMER,
								 kafka_conf_create(server->serverid, GetUserId(), 1024, trouble));
	report(&test, "configuration", true, psprintf("librdkafka %s", rd_kafka_version_str()));
	PG_TRY();
	{
		test_brokers(&test, client, trouble);
	}
	PG_FINALLY();
	{
		kafka_client_destroy(client);
	}
	PG_END_TRY();
	return (Datum) 0;
}
