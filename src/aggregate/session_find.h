/*
 * session_find.h - the stored sessions of a key that the rows of a batch may touch.
 */
#ifndef STREAMAGG_SESSION_FIND_H
#define STREAMAGG_SESSION_FIND_H

#include "definition.h"
#include "session_judge.h"

typedef struct SessionFinder SessionFinder;

/*
 * Opens state table and index until session_find_end or the end of the transaction; columns are those of
 * the conflict, end that of the window's end.  Error: 55000 when the index is gone.
 */
extern SessionFinder *
session_find_begin(Oid state, List *columns, const char *end, const SessionRules *rules);

/*
 * Adds to the judge what overlaps [from, to] of the key's sessions; where late rows are dropped, less
 * those that are closed at that watermark.  values and isnull are the key's columns.
 */
extern void
session_find(SessionFinder *finder, SessionJudge *judge, const Datum *values, const bool *isnull,
			 TimestampTz from, TimestampTz to, TimestampTz watermark);
extern void session_find_end(SessionFinder *finder);

#endif
