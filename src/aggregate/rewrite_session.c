/*
 * rewrite_session.c - the SQL of session windows.
 *
 * A batch takes three statements, with C between them (session.c).  The rows, sorted by their keys:
 *
 *   SELECT i.*, dense_rank() OVER (ORDER BY keys) FROM (SELECT keys, arguments, ctid FROM stream …) i
 *
 * their groups, once it is known which session each row is part of:
 *
 *   INSERT INTO state … SELECT … FROM batch_session_rows() … ON CONFLICT … DO UPDATE …
 *
 * and stored sessions that have become part of others, which nothing but a row between them can do:
 *
 *   WITH gone AS (DELETE FROM state s USING batch_session_moves() m WHERE s.ctid = m.session RETURNING …)
 *   INSERT INTO state … SELECT … FROM gone … ON CONFLICT … DO UPDATE …
 *
 * Over all rows at once, verify() and backfill(), PostgreSQL's window functions find the sessions; where late
 * rows are dropped, which ones depends on the order of reading, and session_replay() repeats that.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "rewrite_parts.h"
#include "rules.h"
#include "streamagg.h"

#define ARCHIVE_COLUMNS 4 /* of source_rows() */

/*
 * With late 'merge' sessions of a key lie apart, so the start tells them.  Where late rows are dropped, one may
 * begin where a closed one does; it ends later.
 */
List *
rewrite_session_columns(const Definition *definition)
{
	List *columns = NIL;

	for (int i = definition->nwindow; i < definition->nkeys; i++)
		columns = lappend(columns, definition->keys[i].column);
	if (definition->drops_late)
		columns = lappend(columns, definition->keys[1].column);
	return lappend(columns, definition->keys[0].column);
}

/* Where late rows are dropped and there are no other keys, the unique index begins with the end. */
char *
rewrite_create_index(const Definition *definition, const char *state)
{
	const char *end;

	if (definition->window.kind != WINDOW_SESSION)
		return NULL;
	end = definition->keys[1].column;
	if (strcmp(linitial(rewrite_session_columns(definition)), end) == 0)
		return NULL;
	return psprintf("CREATE INDEX ON %s (%s, %s)", state, quote_identifier(end),
					quote_identifier(definition->keys[0].column));
}

/* The keys that sessions are of, of the rows i, sorted as they are grouped; NULL: none. */
static char *
session_keys(const Definition *definition)
{
	StringInfoData list;

	if (definition->nkeys == definition->nwindow)
		return NULL;
	initStringInfo(&list);
	for (int i = definition->nwindow; i < definition->nkeys; i++)
		appendStringInfo(&list, "%si._k%d%s", list.len > 0 ? ", " : "", i + 1,
						 rewrite_by_bytes(definition->keys[i].expression));
	return list.data;
}

/* ---------------------------------------------------------------- a batch */

/* The rows of each key together, numbered as one, in this order. */
static char *
by_key(const Definition *definition, Query *inner, const char *order)
{
	char *keys = session_keys(definition);

	return psprintf("SELECT i.*, %s AS _key FROM (%s) i ORDER BY %s%s%s",
					keys ? psprintf("pg_catalog.dense_rank() OVER (ORDER BY %s)", keys)
						 : "0::bigint",
					pg_get_querydef(inner, false), keys ? keys : "", keys ? ", " : "", order);
}

char *
rewrite_session_rows(const Definition *definition)
{
	Query *inner = rewrite_inner(definition);
	Var *number = makeVar(definition->stream_index, SelfItemPointerAttributeNumber, TIDOID, -1,
						  InvalidOid, 0);

	rewrite_add_target(&inner->targetList, (Node *) number, "_row");
	return by_key(definition, inner, "i._row");
}

/* A record that was read anew stands where it was read then. */
char *
rewrite_session_archive(const Definition *definition)
{
	Query *inner = rewrite_inner(definition);
	List *columns = rt_fetch(definition->stream_index, inner->rtable)->subquery->targetList;
	ListCell *cell;

	for_each_from (cell, columns, list_length(columns) - ARCHIVE_COLUMNS)
	{
		TargetEntry *column = lfirst_node(TargetEntry, cell);

		rewrite_add_target(&inner->targetList,
						   (Node *) makeVarFromTargetEntry(definition->stream_index, column),
						   column->resname);
	}
	return by_key(definition, inner, "i._received_at, i._offset");
}

static void
append_column(StringInfo sql, const TargetEntry *target)
{
	Node *expression = (Node *) target->expr;
	Oid collation = exprCollation(expression);

	appendStringInfo(sql, "%s%s %s", sql->len > 0 ? ", " : "", quote_identifier(target->resname),
					 rewrite_type_of(expression));
	if (OidIsValid(collation))
		appendStringInfo(sql, " COLLATE %s", generate_collation_name(collation));
}

char *
rewrite_session_batch(const Definition *definition)
{
	Query *rows = definition_parse(rewrite_rows(definition));
	StringInfoData columns;
	ListCell *cell;

	initStringInfo(&columns);
	foreach (cell, rows->targetList)
		append_column(&columns, lfirst_node(TargetEntry, cell));
	return psprintf("SELECT * FROM streamagg.batch_session_rows() r (%s)", columns.data);
}

/* They come back in the order of the moves, each with where its row is now. */
char *
rewrite_session_moves(const Definition *definition, const char *state, const char *insert)
{
	StringInfoData columns;
	StringInfoData names;
	int count = 2;

	initStringInfo(&columns);
	initStringInfo(&names);
	for (int i = definition->nwindow; i < definition->nkeys; i++, count++)
		appendStringInfo(&columns, ", s.%s", quote_identifier(definition->keys[i].column));
	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; j < definition->calls[i].rule->count; j++, count++)
			appendStringInfo(&columns, ", s.%s", quote_identifier(definition->calls[i].columns[j]));
	for (int i = 1; i <= count; i++)
		appendStringInfo(&names, "%s_c%d", i > 1 ? ", " : "", i);
	return psprintf(
		"WITH gone (_number, %s) AS (DELETE FROM %s s USING"
		" streamagg.batch_session_moves() m WHERE s.ctid = m.session RETURNING m.number,"
		" m.window_start, m.window_end%s) %s SELECT %s, pg_catalog.now() FROM gone"
		" ORDER BY _number",
		names.data, state, columns.data, insert, names.data);
}

/* ---------------------------------------------------------------- all rows at once */

/* Where no row of the key is at most the gap before, a session begins. */
static char *
islands(const Definition *definition)
{
	const char *rows = rewrite_rows(definition);
	const char *keys = session_keys(definition);
	const char *of_key = keys ? psprintf("PARTITION BY %s ", keys) : "";

	return psprintf(
		"SELECT i.*, pg_catalog.count(*) FILTER (WHERE i._begins) OVER (%sORDER BY i._k1) AS "
		"_island"
		" FROM (SELECT i.*, i._k1 > pg_catalog.lag(i._k2) OVER (%sORDER BY i._k1) AS _begins"
		" FROM (%s) i) i",
		of_key, of_key, rows);
}

char *
rewrite_whole_rows(const Definition *definition)
{
	const char *keys = session_keys(definition);
	StringInfoData columns;
	ListCell *cell;
	int number = 0;

	if (definition->window.kind != WINDOW_SESSION)
		return rewrite_pairs(definition);
	if (definition->drops_late)
		return psprintf("(%s) i", rewrite_session_batch(definition));
	initStringInfo(&columns);
	foreach (cell, definition_parse(rewrite_rows(definition))->targetList)
		if (number++ >= definition->nwindow)
			appendStringInfo(&columns, ", i.%s",
							 quote_identifier(lfirst_node(TargetEntry, cell)->resname));
	return psprintf(
		"(SELECT pg_catalog.min(i._k1) OVER s AS _k1, pg_catalog.max(i._k2) OVER s AS _k2%s"
		" FROM (%s) i WINDOW s AS (PARTITION BY %s%si._island)) i",
		columns.data, islands(definition), keys ? keys : "", keys ? ", " : "");
}
