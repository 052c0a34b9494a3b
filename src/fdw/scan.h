/*
 * scan.h - what the foreign table's scan hands out.
 */
#ifndef STREAMAGG_SCAN_H
#define STREAMAGG_SCAN_H

#include "batch.h"

/*
 * From here to scan_withdraw scans of the stream return the batch's rows, those marked in skip (one
 * mark a row, or NULL) left out.  The batch stays the caller's.
 */
extern void scan_offer(Oid stream, Batch *batch, const bool *skip);
extern void scan_withdraw(void);

#endif
