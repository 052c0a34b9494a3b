/*
 * window.h - the time windows of an aggregate.
 */
#ifndef STREAMAGG_WINDOW_H
#define STREAMAGG_WINDOW_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/primnodes.h"

typedef enum WindowKind
{
	WINDOW_NONE,	   /* a running total */
	WINDOW_TUMBLE,	   /* streamagg.tumble, date_bin */
	WINDOW_DATE_TRUNC, /* date_trunc in a zone */
	WINDOW_HOP,		   /* several windows a row */
	WINDOW_CUMULATE,
	WINDOW_SESSION /* streamagg.session: from a key's first event to the last one and a gap */
} WindowKind;

typedef struct Window
{
	WindowKind kind;
	int64 size;	 /* microseconds; of a session its gap */
	int64 slide; /* between the starts of hop, and between the ends of cumulate */
	TimestampTz origin;
	char *unit; /* date_trunc */
	char *zone;
} Window;

/* Windows of a calendar may start some hours behind their first rows, where a clock is put back. */
#define WINDOW_CALENDAR_MARGIN (2 * USECS_PER_DAY)

/* Whether a row may fall in several of them, or in none. */
static inline bool
window_is_multiple(const Window *window)
{
	return window->kind == WINDOW_HOP || window->kind == WINDOW_CUMULATE;
}

/* Microseconds of a window's size.  Errors: 0A000 for months, 22023 when it is not positive. */
extern int64 window_size(const Interval *size);
/* 22023 for an infinite one. */
extern void window_check_origin(TimestampTz origin);
/* Checks a date_trunc unit and zone.  Errors: 0A000 for units that have no fixed end. */
extern void window_check_unit(const char *unit, const char *zone);

/* The SQL expression of the start of the last window that a time falls in, under neutral settings. */
extern char *window_start_sql(const Window *window, const char *time_sql);

/* The SQL expression of the end of the window that starts at start_sql, plus a time, palloc'd. */
extern char *window_end_sql(const Window *window, const char *start_sql, int64 plus);

/* A time later by some microseconds, saturated, palloc'd. */
extern char *window_shift_sql(const char *time_sql, int64 plus);

/* A window as text of the catalogue, palloc'd, and back. */
extern char *window_to_text(const Window *window);
extern void window_from_text(const char *text, Window *window);

#endif
