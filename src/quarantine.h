/*
 * quarantine.h - the records of a batch that were not accepted.
 */
#ifndef STREAMAGG_QUARANTINE_H
#define STREAMAGG_QUARANTINE_H

#include "record.h"

typedef struct Quarantine Quarantine;

/* An empty list for one batch, in the current context. */
extern Quarantine *quarantine_begin(Oid stream);
extern void quarantine_add(Quarantine *quarantine, const Record *record, const RecordFault *fault);

/* Writes the list in one statement, in the batch's transaction. */
extern void quarantine_store(Quarantine *quarantine);

#endif
