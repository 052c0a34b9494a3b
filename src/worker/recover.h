/*
 * recover.h - partitions that give no more, or another log than the one that was read.
 */
#ifndef STREAMAGG_WORKER_RECOVER_H
#define STREAMAGG_WORKER_RECOVER_H

#include "reader.h"

typedef struct Recovery Recovery;

/*
 * What the consumer's failures come to, after a look at the brokers; outside a transaction, in the
 * current context.  Errors: what a person must decide, 22000 or the failure's own.
 */
extern Recovery *recover_look(Reader *reader, const Stream *stream);
/*
 * Inside a batch's transaction: what is passed over; errors as above.  After its commit the stream is to be
 * read by a client of its own.
 */
extern void recover_write(const Recovery *recovery, Ingest *ingest);

/* The record at the offset is not the one that was read. */
extern void
recover_raise_replaced(const Stream *stream, int32 partition, int64 offset) pg_attribute_noreturn();
/* The partition ends before the next offset. */
extern void recover_raise_beyond(const Stream *stream, int32 partition, int64 next, int64 end)
	pg_attribute_noreturn();

#endif
