/*
 * retention.h - windows that are kept for a time only.
 */
#ifndef STREAMAGG_RETENTION_H
#define STREAMAGG_RETENTION_H

#include "fdw/scan.h"
#include "window.h"

/* Of an aggregate; in microseconds. */
typedef struct Retention
{
	int64 length; /* a window goes so long behind its end; 0: all stay for ever */
	int64 width;  /* of a partition of the state */
	int64 kept;	  /* what the closing watermark is past the end of a partition that goes */
} Retention;

/*
 * For an aggregate to be made; window of kind WINDOW_NONE: none.  Errors: 22023 for a length that would
 * take windows that are open, 0A000 for windows that cannot have one.
 */
extern Retention retention_plan(const Window *window, const Interval *length, int64 lateness);

/* From the columns retention, partition_width and kept of the catalogue; NULLs: none. */
extern Retention
retention_from(const Interval *length, const Interval *width, const Interval *kept);

/*
 * Partitions of a table, a state or what has its partitions, too, for the windows of these rows; or for
 * windows with these starts, which are sorted.  As the stream's owner.
 */
extern void retention_make_room(Oid table, const Retention *retention, const Window *window,
								const ScanOffer *rows);
extern void
retention_make_room_for(Oid table, const Retention *retention, TimestampTz *starts, int count);

/* Windows of the aggregate that start before may be gone; false: none is. */
extern bool retention_horizon(Oid state, TimestampTz *before);

/* Whether windows of the state are gone already. */
extern bool retention_has_dropped(Oid state);

/* After a batch of a local stream: wakes the keeper where a partition may go. */
extern void retention_tend_local(const List *aggregates);
/* The keeper's, outside a transaction, see worker/tend.c. */
extern void retention_tend(void);
/* Inside a transaction: the state goes; a partition of it that is detached and not yet dropped, too. */
extern void retention_drop_rest(Oid state);

#endif
