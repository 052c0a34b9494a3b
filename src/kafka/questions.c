/*
 * questions.c - what a consumer asks the brokers about its topic: partitions and offsets.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "consumer_parts.h"

void
kafka_consumer_raise(const KafkaConsumer *consumer, rd_kafka_resp_err_t error)
{
	KafkaTrouble trouble = consumer->trouble;

	/* a time-out says less than what the connection said */
	if (trouble.error == 0 ||
		(error != RD_KAFKA_RESP_ERR__TRANSPORT && error != RD_KAFKA_RESP_ERR__TIMED_OUT))
	{
		trouble.error = error;
		strlcpy(trouble.text, rd_kafka_err2str(error), sizeof(trouble.text));
	}
	kafka_raise(psprintf("could not read topic \"%s\"",
						 kafka_clean_text(rd_kafka_topic_name(consumer->topic))),
				&trouble);
}

/* Whether to ask again; raises when the answer is final or patience is over. */
static void
wait_or_raise(KafkaConsumer *consumer, rd_kafka_resp_err_t error, TimestampTz start)
{
	CHECK_FOR_INTERRUPTS();
	kafka_client_serve(consumer->client);
	if (!kafka_is_passing(error) || kafka_is_hopeless(&consumer->trouble) ||
		TimestampDifferenceExceeds(start, GetCurrentTimestamp(), KAFKA_PATIENCE_MS))
		kafka_consumer_raise(consumer, error);
}

int
kafka_consumer_partitions(KafkaConsumer *consumer)
{
	TimestampTz start = GetCurrentTimestamp();

	for (;;)
	{
		int count;
		rd_kafka_resp_err_t error = kafka_consumer_ask_partitions(consumer, &count);

		if (error == 0)
		{
			kafka_trouble_clear(&consumer->trouble);
			return count;
		}
		wait_or_raise(consumer, error, start);
	}
}

/*
 * rd_kafka_query_watermark_offsets has no bound while a broker is down (2.0.2 waits for its reply for
 * ever); a look-up by time has, and the times -2 and -1 mean first and last.
 */
static rd_kafka_resp_err_t
ask_offsets(KafkaConsumer *consumer, KafkaLookup *lookups, int count, bool far)
{
	const char *topic = rd_kafka_topic_name(consumer->topic);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
	rd_kafka_resp_err_t error;
	KafkaAsk *ask = NULL;

	for (int i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, topic, lookups[i].partition)->offset =
			lookups[i].time;
	if (far)
	{
		ask = kafka_ask(consumer->client, topic, list, KAFKA_PATIENCE_MS);
		error = kafka_ask_wait(ask, &consumer->trouble);
		if (!ask->answered)
			return error;
	}
	else
		error = rd_kafka_offsets_for_times(consumer->client, list, KAFKA_SLICE_MS);
	for (int i = 0; i < count && error == 0; i++)
	{
		error = list->elems[i].err;
		lookups[i].offset = list->elems[i].offset;
		if (error == 0 && lookups[i].offset < 0 && lookups[i].time < 0)
			error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
	if (ask)
		kafka_ask_free(ask);
	else
		rd_kafka_topic_partition_list_destroy(list);
	return error;
}

bool
kafka_consumer_peek(KafkaConsumer *consumer, KafkaLookup *lookups, int count)
{
	return ask_offsets(consumer, lookups, count, false) == 0;
}

void
kafka_consumer_look_up(KafkaConsumer *consumer, KafkaLookup *lookups, int count)
{
	TimestampTz start = GetCurrentTimestamp();
	rd_kafka_resp_err_t error;

	while (count > 0 && (error = ask_offsets(consumer, lookups, count, consumer->far)) != 0)
		wait_or_raise(consumer, error, start);
}

int64
kafka_consumer_offset(KafkaConsumer *consumer, int32 partition, int64 time)
{
	KafkaLookup lookup = {partition, time, -1};

	kafka_consumer_look_up(consumer, &lookup, 1);
	return lookup.offset;
}

int64
kafka_consumer_high_offset(KafkaConsumer *consumer, int32 partition)
{
	int64 low;
	int64 high;

	if (rd_kafka_get_watermark_offsets(consumer->client, rd_kafka_topic_name(consumer->topic),
									   partition, &low, &high) != 0)
		return -1;
	return high < 0 ? -1 : high;
}

/* The first of what was taken that is not before the offset, or the end; what is before is freed. */
static bool
find_from(KafkaConsumer *consumer, int64 offset, KafkaMessage *message)
{
	int count = kafka_consumer_take(consumer);

	for (int i = 0; i < count; i++)
	{
		kafka_consumer_message(consumer, i, message);
		if (message->kind == KAFKA_END || message->offset >= offset)
			return true;
	}
	kafka_consumer_release(consumer);
	return false;
}

static void
wait_for_message(KafkaConsumer *consumer)
{
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 consumer->event_fd, KAFKA_SLICE_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	kafka_drain_event(consumer->event_fd);
}

bool
kafka_consumer_read_at(KafkaConsumer *consumer, int32 partition, int64 offset,
					   KafkaMessage *message, KafkaFailure *failure)
{
	TimestampTz start = GetCurrentTimestamp();

	kafka_consumer_assign(consumer, &partition, &offset, 1);
	while (!find_from(consumer, offset, message))
	{
		if (consumer->nfailures > 0)
		{
			*failure = kafka_consumer_failure(consumer, 0);
			if (failure->kind == KAFKA_BROKEN)
				kafka_consumer_raise_failure(consumer, 0);
			return false;
		}
		wait_for_message(consumer);
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), KAFKA_PATIENCE_MS))
			kafka_consumer_raise(consumer, RD_KAFKA_RESP_ERR__TIMED_OUT);
	}
	return true;
}
