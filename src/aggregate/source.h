/*
 * source.h - an aggregate and its query over the archive in place of the stream.
 */
#ifndef STREAMAGG_SOURCE_H
#define STREAMAGG_SOURCE_H

#include "definition.h"
#include "retention.h"

/* An aggregate as its row of the catalogue and its definition view have it. */
typedef struct Source
{
	Oid view;
	Oid state;
	Oid stream;
	Oid archive; /* InvalidOid: none */
	char *name;	 /* of the view, qualified */
	bool drops_late;
	int64 leaves_out_after; /* as that of Aggregate, see run.h */
	Retention retention;
	char *timezone; /* settings of the definition */
	char *datestyle;
	char *intervalstyle;
	Definition *definition;
	Window judged; /* see run.h */
	bool is_rollup;
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
 * Whether its sessions follow from the order of reading: then the archive's rows have columns behind the
 * stream's, that rewrite_session_archive() reads, and are all rows.
 */
extern bool source_is_ordered(const Source *source);

/*
 * The definition with the archive's rows in place of the stream, for the windows of the range, less late
 * pairs of row and window where those are dropped; only_counted: less those from before the aggregate's
 * beginning.
 */
extern Definition *
source_definition(const Source *source, const WindowRange *range, bool only_counted);

/* source_replace.c: the definition with these rows, a SELECT of the stream's columns and more, in its place. */
extern Definition *source_replace_stream(const Source *source, const char *rows);

/* What source_definition() is asked for. */
typedef struct SourceRows
{
	const Source *source;
	const WindowRange *range;
	bool only_counted;
} SourceRows;

/* SELECT of these rows, each in one only of several ranges. */
extern char *source_rows_once(const Source *source, const WindowRange *range);

/* Leaves out windows that may be gone by the aggregate's retention; true: there are such in the range. */
extern bool source_leave_out_expired(const Source *source, WindowRange *range);

/* " AND column >= … AND column < …" of a range. */
extern char *source_range_sql(const WindowRange *range, const char *column);

/*
 * The latest time that a row which the archive should hold and does not hold may have, in the active
 * snapshot: later windows are whole.  DT_NOBEGIN: nothing is missing; DT_NOEND: nobody knows where.
 * only_counted: rows from before the aggregate's beginning need not be there.
 */
extern TimestampTz source_missing_until(const Source *source, bool only_counted);

#endif
