/*
 * message.c - Kafka's messages as records: nothing is copied, values, keys and headers stay where the
 * library has them until the messages are released.  Who calls it: the worker's feed and SELECT.
 */
#include "postgres.h"

#include "message.h"

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

void
message_to_record(const Stream *stream, const KafkaConsumer *consumer, int number,
				  const KafkaMessage *message, Record *record)
{
	record->partition = message->partition;
	record->offset = message->offset;
	record->value = message->value;
	record->length = message->length;
	record->key = message->key;
	record->key_length = message->key_length;
	record->headers = NULL;
	record->nheaders = 0;
	record_set_time(record, message->timestamp);
	if (stream->has_headers)
		record->headers = headers_of(stream, consumer, number, &record->nheaders);
}
