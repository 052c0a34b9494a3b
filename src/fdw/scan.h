/*
 * scan.h - what the foreign table's scan hands out.
 */
#ifndef STREAMAGG_SCAN_H
#define STREAMAGG_SCAN_H

#include "storage/itemptr.h"

#include "batch.h"

typedef struct ScanOffer
{
	Oid stream;
	const Batch *batch;
	const bool *skip; /* one mark a row: left out; NULL: none */
	int first;
	int end; /* the first row that is not of it */
	/* for a row's windows that have ended by then it is too late; NULL: for none of any row */
	const TimestampTz *closed;
} ScanOffer;

/* A row's ctid says which of the batch it is. */
#define SCAN_ROWS_PER_BLOCK 1024

static inline void
scan_set_row(ItemPointer tid, int row)
{
	ItemPointerSet(tid, row / SCAN_ROWS_PER_BLOCK, row % SCAN_ROWS_PER_BLOCK + 1);
}

static inline int64
scan_row(const ItemPointerData *tid)
{
	return (int64) ItemPointerGetBlockNumberNoCheck(tid) * SCAN_ROWS_PER_BLOCK +
		   ItemPointerGetOffsetNumberNoCheck(tid) - 1;
}

/*
 * From here to scan_withdraw scans of the stream return these rows.  Everything stays the caller's.
 * Returns what was offered before: a trigger of a state table may push into another stream.
 */
extern ScanOffer scan_offer(const ScanOffer *rows);
extern void scan_withdraw(const ScanOffer *before);

/* What is offered; without a batch: nothing. */
extern const ScanOffer *scan_offered(void);

#endif
