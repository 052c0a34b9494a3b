/*
 * feed.c - feeds the messages that were taken to a batch.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "feed.h"
#include "message.h"

static void
feed_message(Ingest *ingest, const KafkaConsumer *consumer, int number)
{
	KafkaMessage message;
	Record record;

	kafka_consumer_message(consumer, number, &message);
	if (message.kind == KAFKA_END)
	{
		ingest_reach(ingest, message.partition, message.offset);
		return;
	}
	message_to_record(ingest->stream, consumer, number, &message, &record);
	ingest_record(ingest, &record);
}

void
feed_messages(Ingest *ingest, void *argument)
{
	const KafkaConsumer *consumer = argument;
	int count = kafka_consumer_count(consumer);

	for (int i = 0; i < count; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		feed_message(ingest, consumer, i);
	}
}
