/*
 * backfill.h - states computed anew from what was kept.
 */
#ifndef STREAMAGG_BACKFILL_H
#define STREAMAGG_BACKFILL_H

#include "source.h"

typedef enum BackfillSource
{
	BACKFILL_NONE,
	BACKFILL_ARCHIVE,
	BACKFILL_KAFKA
} BackfillSource;

/*
 * All run as the stream's owner with the safe search_path and neutral settings.
 *
 * Raises 55000 when the archive does not hold all rows of the windows of the range, 0A000 for a part of
 * the sessions.
 */
extern void backfill_require_rows(const Source *source, const WindowRange *range);

/*
 * Cuts the range into slices of about a second's work, in the current context: *count times at which
 * one ends and the next begins.
 */
extern TimestampTz *backfill_cut(const Source *source, const WindowRange *range, int *count);

/*
 * Locks the stream's progress until the transaction ends, so that no batch comes between, and replaces
 * the windows of the range; returns the rows read.  The aggregate is looked up behind the lock: it may
 * have been dropped (42809) or replaced meanwhile.
 */
extern int64 backfill_replace(Oid view, const WindowRange *range);

/*
 * The same from the topic, up to the committed offsets: read first, exchanged behind the lock.  Errors:
 * 0A000 where late rows are dropped, 55000 for a local stream, and when the topic does not hold what was
 * read then, or judges it in another way now.
 */
extern int64 backfill_from_topic(Oid view, const WindowRange *range);

/* Parts of both: the windows of the range, and the mark that all of their rows are in. */
extern void backfill_delete(const Source *source, const WindowRange *range);
extern void backfill_mark_included(const Source *source, const WindowRange *range);

/* A new aggregate gets all that was before, in this transaction. */
extern int64 backfill_new(Oid view, BackfillSource from);

#endif
