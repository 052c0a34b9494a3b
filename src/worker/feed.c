/*
 * feed.c - Kafka's messages as records: nothing is copied, values, keys and headers stay where the
 * library has them until the messages are released.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "feed.h"
#include "kafka/consumer.h"

/* They live until the batch is reset. */
static const RecordHeader *
headers_of(const Stream *stream, const KafkaConsumer *consumer, int number, int *count)
{
	RecordHeader *headers;

	*count = kafka_consumer_header_count(consumer, number);
	headers = batch_alloc(stream->batch, sizeof(RecordHeader) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		kafka_consumer_header(consumer, number, i, &headers[i].name, &headers[i].value,
							  &headers[i].length);
	return headers;
}

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
	record.partition = message.partition;
	record.offset = message.offset;
	record.value = message.value;
	record.length = message.length;
	record.key = message.key;
	record.key_length = message.key_length;
	record.headers = NULL;
	record.nheaders = 0;
	record_set_time(&record, message.timestamp);
	if (ingest->stream->has_headers)
		record.headers = headers_of(ingest->stream, consumer, number, &record.nheaders);
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
