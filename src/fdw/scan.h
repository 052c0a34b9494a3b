/*
 * scan.h - what the foreign table's scan hands out.
 */
#ifndef STREAMAGG_SCAN_H
#define STREAMAGG_SCAN_H

#include "batch.h"

typedef struct ScanOffer
{
	Oid stream;
	const Batch *batch;
	const bool *skip; /* one mark a row: left out; NULL: none */
	int first;
	int end; /* the first row that is not of it */
} ScanOffer;

/*
 * From here to scan_withdraw scans of the stream return these rows.  Everything stays the caller's.
 * Returns what was offered before: a trigger of a state table may push into another stream.
 */
extern ScanOffer scan_offer(const ScanOffer *rows);
extern void scan_withdraw(const ScanOffer *before);

#endif
