/*
 * attempt.h - the marker of a batch that follows a crash of the server.
 */
#ifndef STREAMAGG_ATTEMPT_H
#define STREAMAGG_ATTEMPT_H

#include "kafka/consumer.h"
#include "shared.h"
#include "stream.h"

typedef struct Attempt
{
	bool due;	 /* batches are marked */
	int limit;	 /* records of a batch; 0: as many as there are */
	int rest;	 /* records to come among which the one is that crashed the server */
	int crashes; /* with a batch of nothing but this record: */
	int32 partition;
	int64 offset;
} Attempt;

/*
 * At the start of a worker, inside a transaction: whether the server has crashed in a batch of this
 * stream, and so how much a batch may be.  Errors: 57P02 one record has done it three times running.
 */
extern void attempt_load(Attempt *attempt, const Stream *stream, const StreamSlot *slot);

/* Before a batch, outside of a transaction: commits the marker if one is due. */
extern void attempt_mark(Attempt *attempt, const Stream *stream, const StreamSlot *slot,
						 const KafkaConsumer *consumer);
/* In the batch's transaction. */
extern void attempt_succeed(Attempt *attempt, const Stream *stream, const KafkaConsumer *consumer);
/* Behind its commit. */
extern void attempt_committed(Attempt *attempt, StreamSlot *slot);

/* After an error, outside of a transaction: the batch has ended, and the server has not. */
extern void attempt_fail(Oid stream);

#endif
