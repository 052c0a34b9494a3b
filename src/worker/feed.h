/*
 * feed.h - the messages that a worker has taken, into a batch.
 */
#ifndef STREAMAGG_FEED_H
#define STREAMAGG_FEED_H

#include "ingest.h"

/* For ingest_feed: all messages of a KafkaConsumer, the argument. */
extern void feed_messages(Ingest *ingest, void *consumer);

#endif
