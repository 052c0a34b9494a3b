/*
 * failures.c - partitions that give no more messages: what for, and where.
 *
 * What a partition had before its failure is taken like any other message; what the library has behind
 * it is not: that would look like a gap.
 */
#include "postgres.h"

#include "consumer_parts.h"
#include "streamagg.h"

/* What is neither a record nor the end of a partition: whether it will not pass by itself. */
static bool
is_failure(KafkaConsumer *consumer, const rd_kafka_message_t *message)
{
	if (kafka_is_passing(message->err))
	{
		consumer->trouble.error = message->err;
		strlcpy(consumer->trouble.text, rd_kafka_message_errstr(message),
				sizeof(consumer->trouble.text));
		return false;
	}
	/* nobody needs the group that librdkafka wants a name for */
	return message->err != RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
}

bool
kafka_consumer_has_failed(const KafkaConsumer *consumer, int32 partition)
{
	for (int i = 0; i < consumer->nfailures; i++)
		if (consumer->failures[i]->partition == partition)
			return true;
	return false;
}

/* The message is kept or freed: what nobody frees, the client's end waits for in vain. */
void
kafka_consumer_keep_failure(KafkaConsumer *consumer, rd_kafka_message_t *message)
{
	if (!is_failure(consumer, message) || kafka_consumer_has_failed(consumer, message->partition))
	{
		rd_kafka_message_destroy(message);
		return;
	}
	if (consumer->nfailures == consumer->max_failures)
	{
		Size bytes = sizeof(void *) * (Size) (consumer->max_failures * 2 + 8);

		consumer->failures = consumer->failures ? repalloc(consumer->failures, bytes)
												: MemoryContextAlloc(consumer->context, bytes);
		consumer->max_failures = consumer->max_failures * 2 + 8;
	}
	consumer->failures[consumer->nfailures++] = message;
}

void
kafka_consumer_forget_failures(KafkaConsumer *consumer)
{
	for (int i = 0; i < consumer->nfailures; i++)
		rd_kafka_message_destroy(consumer->failures[i]);
	consumer->nfailures = 0;
}

int
kafka_consumer_failures(const KafkaConsumer *consumer)
{
	return consumer->nfailures;
}

static KafkaFailureKind
failure_kind(rd_kafka_resp_err_t error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			return KAFKA_OUT_OF_RANGE;
		case RD_KAFKA_RESP_ERR__BAD_MSG:
		case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
		case RD_KAFKA_RESP_ERR_INVALID_MSG:
		case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
			return KAFKA_UNREADABLE;
		default:
			return KAFKA_BROKEN;
	}
}

KafkaFailure
kafka_consumer_failure(const KafkaConsumer *consumer, int number)
{
	const rd_kafka_message_t *message = consumer->failures[number];

	return (KafkaFailure){failure_kind(message->err), message->partition, message->offset,
						  kafka_sqlstate(message->err), rd_kafka_err2str(message->err)};
}

void
kafka_consumer_raise_failure(const KafkaConsumer *consumer, int number)
{
	const rd_kafka_message_t *message = consumer->failures[number];

	ereport(ERROR, (errcode(kafka_sqlstate(message->err)),
					errmsg("could not read topic \"%s\" partition %d offset " INT64_FORMAT,
						   kafka_clean_text(rd_kafka_topic_name(consumer->topic)),
						   message->partition, message->offset),
					errdetail("%s.", kafka_clean_text(rd_kafka_message_errstr(message))),
					errhint("%s", kafka_hint(message->err))));
}
