/*
 * source.h - an aggregate and its query over the archive in place of the stream.
 */
#ifndef STREAMAGG_SOURCE_H
#define STREAMAGG_SOURCE_H

#include "definition.h"

/* An aggregate as its row of the catalogue and its definition view have it. */
typedef struct Source
{
	Oid view;
	Oid state;
	Oid stream;
	Oid archive; /* InvalidOid: none */
	char *name;	 /* of the view, qualified */
	bool drops_late;
	int64 lateness; /* microseconds */
	char *timezone; /* settings of the definition */
	char *datestyle;
	char *intervalstyle;
	Definition *definition;
	int64 delay;	  /* watermark_delay as it is now */
	char *event_time; /* the archive's column, qualified by a, NULL: none */
	char *begin; /* SQL: the offset that counting began at, of a._partition; NULL: at no row yet */
	char *included; /* windows, as text of a multirange, that rows before that count for, too */
} Source;

/* Windows that start in [from, to); DT_NOBEGIN and DT_NOEND: no bound. */
typedef struct WindowRange
{
	TimestampTz from;
	TimestampTz to;
} WindowRange;

/* The stream of an aggregate.  Errors: 42809 for any other relation, 55000 when it was dropped. */
extern Oid source_stream(Oid view);
extern Oid source_state(Oid view);

/*
 * Loads an aggregate in the active snapshot and the current context, as the stream's owner with the safe
 * search_path and neutral settings.  source_require_archive raises 55000 with a hint.
 */
extern Source *source_load(Oid view);
extern void source_require_archive(const Source *source);

/*
 * Whether its sessions follow from the order of reading: then source_rows() has columns behind the
 * stream's, that rewrite_session_archive() reads, and is of all rows.
 */
extern bool source_is_ordered(const Source *source);

/* The definition with these rows, a SELECT of the stream's columns in order, in place of the stream. */
extern Definition *source_definition(const Source *source, const char *rows);

/*
 * SELECT of the archive's rows that belong to the windows of the range, less late ones where those are
 * dropped; only_counted: less those from before the aggregate's beginning.
 */
extern char *source_rows(const Source *source, const WindowRange *range, bool only_counted);

/* " AND column >= … AND column < …" of a range. */
extern char *source_range_sql(const WindowRange *range, const char *column);

/*
 * The latest time that a row which the archive should hold and does not hold may have, in the active
 * snapshot: later windows are whole.  DT_NOBEGIN: nothing is missing; DT_NOEND: nobody knows where.
 * only_counted: rows from before the aggregate's beginning need not be there.
 */
extern TimestampTz source_missing_until(const Source *source, bool only_counted);

#endif
