/*
 * refuse.h - records that do not become rows.
 */
#ifndef STREAMAGG_REFUSE_H
#define STREAMAGG_REFUSE_H

#include "ingest.h"

/*
 * Does what the stream's policy says, and counts it; values and isnull are those that record_to_row
 * left.  Errors: the fault's own SQLSTATE when the policy is stop.
 */
extern void refuse_record(Ingest *ingest, const Record *record, const RecordFault *fault,
						  Datum *values, bool *isnull);

#endif
