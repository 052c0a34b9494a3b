/*
 * ask.c - questions that only calls which block can ask, each in a thread of its own.
 *
 * A process that blocks in a call delays every DROP DATABASE of the server, and a call that is cut short
 * does not hear a broker that is far away.  So a thread waits, with all signals blocked, and this one
 * looks at it.  The thread touches nothing of PostgreSQL's, its memory is malloc'ed: an error may leave
 * the question behind, and the end of the client waits for it.
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "miscadmin.h"

#include "ask.h"
#include "streamagg.h"

static KafkaAsk *all = NULL;

/* ---------------------------------------------------------------- the thread */

static void
ask_partitions(KafkaAsk *ask)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(ask->client, ask->topic, NULL);

	ask->error = rd_kafka_metadata(ask->client, 0, topic, &metadata, ask->timeout_ms);
	rd_kafka_topic_destroy(topic);
	if (ask->error)
		return;
	ask->error = metadata->topic_cnt == 1 ? metadata->topics[0].err
										  : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (ask->error == 0)
		ask->partitions = metadata->topics[0].partition_cnt;
	for (int i = 0; i < ask->partitions && ask->leaderless < 0; i++)
		if (metadata->topics[0].partitions[i].leader < 0)
			ask->leaderless = metadata->topics[0].partitions[i].id;
	rd_kafka_metadata_destroy(metadata);
}

static void *
run(void *argument)
{
	KafkaAsk *ask = argument;

	if (ask->offsets)
		ask->error = rd_kafka_offsets_for_times(ask->client, ask->offsets, ask->timeout_ms);
	else
		ask_partitions(ask);
	return NULL;
}

/* ---------------------------------------------------------------- the process */

KafkaAsk *
kafka_ask(rd_kafka_t *client, const char *topic, rd_kafka_topic_partition_list_t *offsets,
		  int timeout_ms)
{
	KafkaAsk *ask = calloc(1, sizeof(KafkaAsk));
	sigset_t every;
	sigset_t before;
	int error = ENOMEM;

	if (ask)
	{
		ask->client = client;
		ask->offsets = offsets;
		ask->timeout_ms = timeout_ms;
		ask->partitions = ask->leaderless = -1;
		strlcpy(ask->topic, topic, sizeof(ask->topic));
		sigfillset(&every);
		pthread_sigmask(SIG_SETMASK, &every, &before);
		error = pthread_create(&ask->thread, NULL, run, ask);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (error)
	{
		free(ask);
		if (offsets)
			rd_kafka_topic_partition_list_destroy(offsets);
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("could not start a thread for a question to the brokers")));
	}
	ask->next = all;
	all = ask;
	return ask;
}

bool
kafka_ask_is_answered(KafkaAsk *ask, int milliseconds)
{
	struct timespec until;

	if (ask->answered)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long) (milliseconds % 1000) * 1000000;
	until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	ask->answered = pthread_timedjoin_np(ask->thread, NULL, &until) == 0;
	return ask->answered;
}

rd_kafka_resp_err_t
kafka_ask_wait(KafkaAsk *ask, const KafkaTrouble *trouble)
{
	while (!kafka_ask_is_answered(ask, KAFKA_SLICE_MS))
	{
		CHECK_FOR_INTERRUPTS();
		kafka_client_serve(ask->client);
		if (kafka_is_hopeless(trouble))
			return trouble->error;
	}
	return ask->error;
}

static void
release(KafkaAsk *ask)
{
	if (ask->offsets)
		rd_kafka_topic_partition_list_destroy(ask->offsets);
	free(ask);
}

void
kafka_ask_free(KafkaAsk *ask)
{
	KafkaAsk **place = &all;

	if (!ask->answered)
		return;
	while (*place != ask)
		place = &(*place)->next;
	*place = ask->next;
	release(ask);
}

KafkaAsk *
kafka_ask_take_open(rd_kafka_t *client)
{
	KafkaAsk *taken = NULL;
	KafkaAsk **place = &all;

	while (*place)
	{
		KafkaAsk *ask = *place;

		if (ask->client != client)
		{
			place = &ask->next;
			continue;
		}
		*place = ask->next;
		ask->next = taken;
		taken = ask;
	}
	return taken;
}

void
kafka_ask_join(KafkaAsk *asks)
{
	while (asks)
	{
		KafkaAsk *next = asks->next;

		if (!asks->answered)
			pthread_join(asks->thread, NULL);
		release(asks);
		asks = next;
	}
}
