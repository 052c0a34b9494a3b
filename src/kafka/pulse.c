/*
 * pulse.c - how many partitions a topic has, and whether its brokers are well: asked without waiting.
 */
#include "postgres.h"

#include "consumer_parts.h"
#include "streamagg.h"

rd_kafka_resp_err_t
kafka_consumer_ask_partitions(KafkaConsumer *consumer, int *count)
{
	KafkaAsk *ask;
	rd_kafka_resp_err_t error;

	if (!consumer->far)
		return kafka_ask_partitions(consumer->client, consumer->topic, count);
	ask =
		kafka_ask(consumer->client, rd_kafka_topic_name(consumer->topic), NULL, KAFKA_PATIENCE_MS);
	error = kafka_ask_wait(ask, &consumer->trouble);
	*count = ask->answered ? ask->partitions : -1;
	kafka_ask_free(ask);
	return error;
}

/* A broker that has just started may not know its topics, nor their ACLs, yet: it is asked twice. */
static void
judge_pulse(KafkaConsumer *consumer, rd_kafka_resp_err_t error)
{
	if (error == 0)
		kafka_trouble_clear(&consumer->trouble);
	if (error == 0 || kafka_sqlstate(error) != ERRCODE_INSUFFICIENT_PRIVILEGE)
		consumer->refused = 0;
	else if (++consumer->refused > 1)
		kafka_consumer_raise(consumer, error);
}

bool
kafka_consumer_feel_pulse(KafkaConsumer *consumer, KafkaPulse *pulse)
{
	rd_kafka_resp_err_t error;

	if (consumer->pulse == NULL)
		consumer->pulse = kafka_ask(consumer->client, rd_kafka_topic_name(consumer->topic), NULL,
									KAFKA_PATIENCE_MS);
	if (!kafka_ask_is_answered(consumer->pulse, 0))
		return false;
	error = consumer->pulse->error;
	pulse->is_answered =
		error != RD_KAFKA_RESP_ERR__TRANSPORT && error != RD_KAFKA_RESP_ERR__TIMED_OUT;
	pulse->is_missing = error && kafka_sqlstate(error) == ERRCODE_UNDEFINED_OBJECT;
	pulse->partitions = consumer->pulse->partitions;
	pulse->leaderless = consumer->pulse->leaderless;
	kafka_ask_free(consumer->pulse);
	consumer->pulse = NULL;
	judge_pulse(consumer, error);
	return true;
}
