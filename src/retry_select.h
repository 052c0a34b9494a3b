/*
 * retry_select.h - which records of the quarantine a caller means.
 */
#ifndef STREAMAGG_RETRY_SELECT_H
#define STREAMAGG_RETRY_SELECT_H

#include "reread.h"

/* True for 'true', which names no column: all of the stream's records, for who may not read them, too. */
extern bool retry_select_is_all(const char *clause);

/*
 * The places of the stream's records in streamagg.quarantine for which the clause holds, sorted and
 * different, in the current context.  It runs as the caller, with the caller's rights and settings.
 * Errors: 42601 for anything but one expression, 42501 for who may not read the view, its own.
 */
extern RereadPlace *retry_select(Oid stream, const char *clause, int *count);

/* For qsort and bsearch: by partition, then by offset. */
extern int retry_select_compare(const void *a, const void *b);

#endif
