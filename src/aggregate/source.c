/*
 * source.c - an aggregate's query over the archive in place of the stream.
 *
 * The analysed query stays as it is; its stream becomes a subquery that selects the stream's columns
 * from the archive, so that every reference fits, and PostgreSQL prints the whole.  Late rows are told
 * by the watermark that each row met, which the archive keeps.  verify.c and backfill.c call it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "archive.h"
#include "catalog.h"
#include "rewrite_parts.h"
#include "run.h"
#include "source.h"
#include "stream.h"
#include "streamagg.h"
#include "window_run.h"

static CatalogStatement find_stream = {
	"SELECT stream, state_table FROM streamagg.aggregate_catalog WHERE aggregate = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement read_aggregate = {
	"SELECT a.state_table, pg_catalog.pg_get_viewdef(a.definition),"
	" a.late = 'drop' OR a.emit = 'final', a.allowed_lateness, a.timezone, a.datestyle,"
	" a.intervalstyle, a.key_columns, a.state_columns, p.began IS NOT NULL,"
	" (SELECT pg_catalog.string_agg(pg_catalog.format('WHEN %s THEN %s', b.key::int,"
	" b.value::bigint), ' ') FROM pg_catalog.jsonb_each_text(p.began) b),"
	" coalesce(p.included, '{}')::text, a.judged, a.known_columns, a.added_columns,"
	" a.retention, a.partition_width, a.kept"
	" FROM streamagg.aggregate_catalog a"
	" LEFT JOIN streamagg.aggregate_progress p ON p.state_table = a.state_table"
	" WHERE a.aggregate = $1",
	1,
	{REGCLASSOID},
	NULL};

/* ---------------------------------------------------------------- loading */

static void
find(Oid view, Oid *stream, Oid *state)
{
	Datum value = ObjectIdGetDatum(view);
	CatalogScope scope;
	bool gone;
	bool isnull;

	catalog_enter(&scope);
	if (catalog_read(&find_stream, &value) == 0)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a continuous aggregate",
							   get_rel_name(view) ? stream_name(view) : psprintf("%u", view)),
						errhint("The view streamagg.aggregates lists them.")));
	*stream = DatumGetObjectId(catalog_value(0, 1, &gone));
	*state = DatumGetObjectId(catalog_value(0, 2, &isnull));
	catalog_leave(&scope);
	if (gone)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("aggregate \"%s\" is frozen: its stream was dropped", get_rel_name(view)),
				 errhint("It stays as it was; nothing can be compared with it.")));
}

Oid
source_stream(Oid view)
{
	Oid stream;
	Oid state;

	find(view, &stream, &state);
	return stream;
}

Oid
source_state(Oid view)
{
	Oid stream;
	Oid state;

	find(view, &stream, &state);
	return state;
}

/* What the archive's rows are judged with. */
static void
load_stream(Source *source)
{
	Stream *stream = stream_load(source->stream, CurrentMemoryContext);

	source->delay = stream->watermark_delay;
	if (AttributeNumberIsValid(stream->event_time))
		source->event_time = psprintf(
			"a.%s", quote_identifier(get_attname(source->stream, stream->event_time, false)));
	stream_free(stream);
}

typedef struct Stored
{
	char *query;
	List *keys;
	List *states;
	List *knowns;
	int added;
	char *judged;
} Stored;

static void
read_row(Source *source, Stored *stored, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	bool isnull;
	char *begin;

	source->state = DatumGetObjectId(catalog_value(0, 1, &isnull));
	stored->query = catalog_string(0, 2);
	source->retention =
		retention_from(catalog_interval(0, 16), catalog_interval(0, 17), catalog_interval(0, 18));
	source->drops_late = DatumGetBool(catalog_value(0, 3, &isnull));
	source->leaves_out_after = run_leaves_out_after(
		source->drops_late, run_lateness(DatumGetIntervalP(catalog_value(0, 4, &isnull))),
		source->retention.length);
	source->timezone = catalog_string(0, 5);
	source->datestyle = catalog_string(0, 6);
	source->intervalstyle = catalog_string(0, 7);
	stored->keys = catalog_text_list(0, 8, context);
	stored->states = catalog_text_list(0, 9, context);
	begin = catalog_string(0, 11);
	if (DatumGetBool(catalog_value(0, 10, &isnull)))
		source->begin = begin ? psprintf("CASE a._partition %s ELSE 0 END", begin) : pstrdup("0");
	source->included = catalog_string(0, 12);
	stored->judged = catalog_string(0, 13);
	stored->knowns = catalog_text_list(0, 14, context);
	stored->added = DatumGetInt32(catalog_value(0, 15, &isnull));
	MemoryContextSwitchTo(old);
}

Source *
source_load(Oid view)
{
	MemoryContext context = CurrentMemoryContext;
	Source *source = palloc0(sizeof(Source));
	Datum value = ObjectIdGetDatum(view);
	CatalogScope scope;
	Stored stored;

	source->view = view;
	source->stream = source_stream(view);
	source->name = stream_name(view);
	source->archive = archive_of(source->stream);
	catalog_enter(&scope);
	(void) catalog_read(&read_aggregate, &value);
	read_row(source, &stored, context);
	catalog_leave(&scope);
	source->definition = definition_analyze(definition_parse(stored.query));
	definition_set_columns(source->definition, stored.keys, stored.states, stored.knowns);
	source->definition->added = stored.added;
	source->judged = source->definition->window;
	source->is_rollup = stored.judged != NULL;
	if (source->is_rollup)
		window_from_text(stored.judged, &source->judged);
	source->definition->drops_late = source->drops_late;
	load_stream(source);
	return source;
}

void
source_require_archive(const Source *source)
{
	if (!OidIsValid(source->archive))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stream \"%s\" has no archive", get_rel_name(source->stream)),
				 errhint("ALTER FOREIGN TABLE … OPTIONS (ADD archive 'on') keeps the rows that "
						 "are accepted from then on.")));
}

bool
source_leave_out_expired(const Source *source, WindowRange *range)
{
	TimestampTz before;

	if (source->retention.length == 0 || !retention_horizon(source->state, &before) ||
		range->from >= before)
		return false;
	range->from = before;
	range->to = Max(range->to, before); /* of nothing, rather than from its end to its beginning */
	return true;
}

/* ---------------------------------------------------------------- the archive's rows */

static char *
timestamp_sql(TimestampTz time)
{
	return psprintf(
		"'%s'::pg_catalog.timestamptz",
		DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(time))));
}

char *
source_range_sql(const WindowRange *range, const char *column)
{
	StringInfoData sql;

	initStringInfo(&sql);
	if (!TIMESTAMP_IS_NOBEGIN(range->from))
		appendStringInfo(&sql, " AND %s >= %s", column, timestamp_sql(range->from));
	if (!TIMESTAMP_IS_NOEND(range->to))
		appendStringInfo(&sql, " AND %s < %s", column, timestamp_sql(range->to));
	return sql.data;
}

/* The stream's columns in their places. */
static void
append_columns(StringInfo sql, Oid stream)
{
	Relation rel = relation_open(stream, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			appendStringInfo(sql, "%sNULL::int AS _dropped_%d", i ? ", " : "", i + 1);
		else
			appendStringInfo(sql, "%sa.%s", i ? ", " : "", quote_identifier(NameStr(att->attname)));
	}
	relation_close(rel, NoLock);
}

/*
 * By the window's start, which is what counts; and by the event time itself, which an index may serve.
 */
static void
append_range(StringInfo sql, const Source *source, const WindowRange *range)
{
	const Window *window = &source->definition->window;
	int64 longest = window_longest(window);
	WindowRange wide = *range;

	/* a session is known by its neighbours */
	if (window->kind == WINDOW_NONE || window->kind == WINDOW_SESSION)
		return;
	if (!window_is_multiple(window))
		appendStringInfoString(
			sql, source_range_sql(range, window_start_sql(window, source->event_time)));
	if (!TIMESTAMP_IS_NOEND(wide.from))
		wide.from = wide.from < MIN_TIMESTAMP + WINDOW_CALENDAR_MARGIN
						? DT_NOBEGIN
						: wide.from - WINDOW_CALENDAR_MARGIN;
	if (!TIMESTAMP_IS_NOBEGIN(wide.to))
		wide.to = wide.to > END_TIMESTAMP - longest ? DT_NOEND : wide.to + longest;
	appendStringInfoString(sql, source_range_sql(&wide, source->event_time));
}

/* window_end + allowed_lateness, or retention, <= the watermark that the row met, for its last window */
static void
append_late(StringInfo sql, const Source *source)
{
	/* as late.c has it */
	const Window *window = source->drops_late ? &source->judged : &source->definition->window;

	if (source->leaves_out_after < 0 || window->kind == WINDOW_NONE ||
		window->kind == WINDOW_SESSION)
		return;
	appendStringInfo(sql,
					 " AND NOT (a._watermark > '-infinity'::timestamptz AND %s <= a._watermark)",
					 window_end_sql(window, window_start_sql(window, source->event_time),
									source->leaves_out_after));
}

/* Rows that the aggregate has counted whatever their window. */
static char *
begun_sql(const Source *source)
{
	return source->begin ? psprintf("a._offset >= %s", source->begin) : pstrdup("false");
}

static void
append_counted(StringInfo sql, const Source *source)
{
	const Window *window = &source->judged;
	const char *included = quote_literal_cstr(source->included);

	appendStringInfo(sql, " AND (%s OR ", begun_sql(source));
	if (window->kind == WINDOW_NONE)
		appendStringInfo(sql, "NOT pg_catalog.isempty(%s::tstzmultirange))", included);
	else
		appendStringInfo(sql, "%s <@ %s::tstzmultirange)",
						 window_start_sql(window, source->event_time), included);
}

bool
source_is_ordered(const Source *source)
{
	return source->drops_late && source->definition->window.kind == WINDOW_SESSION;
}

/* What pairs of row and window are judged by: behind the stream's columns. */
static void
append_carried(StringInfo sql, const Source *source, bool only_counted)
{
	if (source->leaves_out_after >= 0)
		appendStringInfoString(sql, ", a._watermark");
	if (only_counted)
		appendStringInfo(sql, ", %s AS _counted", begun_sql(source));
}

static char *
rows_sql(const Source *source, const WindowRange *range, bool only_counted)
{
	bool multiple = window_is_multiple(&source->definition->window);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	append_columns(&sql, source->stream);
	if (multiple)
		append_carried(&sql, source, only_counted);
	if (source_is_ordered(source))
		appendStringInfoString(&sql, ", a._partition, a._watermark, a._received_at, a._offset");
	appendStringInfo(&sql, " FROM %s a WHERE true", stream_name(source->archive));
	append_range(&sql, source, range);
	append_late(&sql, source);
	if (only_counted && !multiple)
		append_counted(&sql, source);
	return sql.data;
}

char *
source_rows_once(const Source *source, const WindowRange *range)
{
	const Window *window = &source->definition->window;
	const char *rows = rows_sql(source, range, false);

	if (!window_is_multiple(window))
		return pstrdup(rows);
	return psprintf("%s%s", rows,
					source_range_sql(range, window_start_sql(window, source->event_time)));
}

/* ---------------------------------------------------------------- pairs of row and window */

/* A column that append_carried() has added; *column is the last one's number. */
static void
carry(Definition *definition, int *column, Oid type, char *name)
{
	Var *var = makeVar(definition->stream_index, ++*column, type, -1, InvalidOid, 0);

	rewrite_add_target(&definition->carried, (Node *) var, name);
}

/* Where a row falls in several windows, each pair of them is in the range, late and counted by itself. */
static void
add_pairs(const Source *source, Definition *definition, const WindowRange *range, bool only_counted)
{
	int column = list_length(
		rt_fetch(definition->stream_index, definition->query->rtable)->subquery->targetList);
	StringInfoData sql;

	column -= (source->leaves_out_after >= 0 ? 1 : 0) + (only_counted ? 1 : 0);
	initStringInfo(&sql);
	appendStringInfo(&sql, "true%s", source_range_sql(range, "i._k1"));
	if (source->leaves_out_after >= 0)
	{
		carry(definition, &column, TIMESTAMPTZOID, "_watermark");
		appendStringInfo(
			&sql, " AND NOT (i._watermark > '-infinity'::timestamptz AND %s <= i._watermark)",
			rewrite_pair_end(definition, source->leaves_out_after));
	}
	if (only_counted)
	{
		carry(definition, &column, BOOLOID, "_counted");
		appendStringInfo(&sql, " AND (i._counted OR i._k1 <@ %s::tstzmultirange)",
						 quote_literal_cstr(source->included));
	}
	definition->condition = sql.data;
}

Definition *
source_definition(const Source *source, const WindowRange *range, bool only_counted)
{
	Definition *definition = source_replace_stream(source, rows_sql(source, range, only_counted));

	if (window_is_multiple(&definition->window))
		add_pairs(source, definition, range, only_counted);
	return definition;
}
