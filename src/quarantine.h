/*
 * quarantine.h - the records of a batch that were not accepted.
 */
#ifndef STREAMAGG_QUARANTINE_H
#define STREAMAGG_QUARANTINE_H

#include "record.h"

typedef struct Quarantine Quarantine;

/* An empty list for one batch, in the current context. */
extern Quarantine *quarantine_begin(Oid stream);

/* document: the redacted record, jsonb; rules: names of those that it breaks, C strings. */
extern void quarantine_add(Quarantine *quarantine, const Record *record, const RecordFault *fault,
						   Datum document, const List *rules);

/* Writes the list in one statement, in the batch's transaction; status: new, or failed again. */
extern void quarantine_store(Quarantine *quarantine, const char *status);

/* What is in the list. */
extern int quarantine_count(const Quarantine *quarantine);
extern void
quarantine_place(const Quarantine *quarantine, int number, int32 *partition, int64 *offset);

/*
 * Deletes what is older than streamagg.quarantine_keep and, of each stream, what is beyond
 * streamagg.quarantine_max_rows; the events tell how many.
 */
extern void quarantine_trim(void);
/* The same, if this process has not done it for a minute. */
extern void quarantine_trim_if_due(void);

#endif
