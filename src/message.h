/*
 * message.h - a message of Kafka as a record.
 */
#ifndef STREAMAGG_MESSAGE_H
#define STREAMAGG_MESSAGE_H

#include "kafka/consumer.h"
#include "record.h"

/*
 * The record of the consumer's message of this number, which is no KAFKA_END.  Headers live until the
 * stream's batch is reset, everything else until the messages are released.
 */
extern void message_to_record(const Stream *stream, const KafkaConsumer *consumer, int number,
							  const KafkaMessage *message, Record *record);

#endif
