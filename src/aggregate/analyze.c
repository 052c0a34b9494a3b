/*
 * analyze.c - finds the stream, the window, the keys and the aggregate calls of a query.
 *
 * It works on PostgreSQL's own analysed query: `l.d` and `d` are one expression there, and `*` is
 * expanded.  What may stand in the query is inspect.c's business, what is made of it rewrite.c's.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

#include "definition_parts.h"
#include "streamagg.h"

/* ---------------------------------------------------------------- parsing */

static RawStmt *
parse_select(const char *sql)
{
	List *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
	RawStmt *statement;

	if (list_length(statements) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("the query of an aggregate must be one SELECT")));
	statement = linitial_node(RawStmt, statements);
	if (!IsA(statement->stmt, SelectStmt) || ((SelectStmt *) statement->stmt)->intoClause)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("the query of an aggregate must be one SELECT")));
	return statement;
}

Query *
definition_parse(const char *sql)
{
	return parse_analyze_fixedparams(parse_select(sql), sql, NULL, 0, NULL);
}

Query *
definition_parse_with(const char *sql, Node *expression, const char *name)
{
	RawStmt *statement = parse_select(sql);
	SelectStmt *select = (SelectStmt *) statement->stmt;
	ResTarget *target = makeNode(ResTarget);

	target->name = pstrdup(name);
	target->val = expression;
	target->location = -1;
	select->targetList = lappend(select->targetList, target);
	return parse_analyze_fixedparams(statement, sql, NULL, 0, NULL);
}

/* ---------------------------------------------------------------- keys */

static void
require_btree(Node *key)
{
	Oid type = exprType(key);
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);

	if (!OidIsValid(entry->btree_opf))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot group by a value of type %s", format_type_be(type)),
						errdetail("The type has no default btree operator class."),
						errhint("Group by a part of it, or by its text.")));
}

/* Of tumble and hop start and end both stand for the window; a start of cumulate has several ends. */
static bool
is_whole_window(const Definition *definition, Node *key)
{
	return definition_is_window_column(definition, key) &&
		   (definition->window.kind != WINDOW_CUMULATE || ((Var *) key)->varattno == 2);
}

static void
refuse_ungrouped_window(const Definition *definition)
{
	if (definition->window.kind == WINDOW_CUMULATE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a query with cumulate windows must group by their end"),
						errdetail("The windows of one start have different ends."),
						errhint("Add window_start and window_end to GROUP BY.")));
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("a query with a window must group by it"),
					errhint("Add window_start and window_end to GROUP BY.")));
}

static void
load_keys(Definition *definition)
{
	Query *query = definition->query;
	bool window_grouped = false;
	List *others = NIL;
	ListCell *cell;

	foreach (cell, query->groupClause)
	{
		Node *key = get_sortgroupclause_expr(lfirst(cell), query->targetList);

		require_btree(key);
		if (is_whole_window(definition, key) || definition_load_window_key(definition, key))
			window_grouped = true;
		else if (!definition_is_window_column(definition, key))
			others = lappend(others, key);
	}
	if (definition->nwindow > 0 && !window_grouped)
		refuse_ungrouped_window(definition);
	definition->keys = palloc0(sizeof(Key) * Max(definition->nwindow + list_length(others), 1));
	for (int i = 0; i < definition->nwindow; i++)
		definition->keys[definition->nkeys++].expression = definition->window_keys[i];
	foreach (cell, others)
		definition->keys[definition->nkeys++].expression = lfirst(cell);
}

/* ---------------------------------------------------------------- the whole */

Definition *
definition_analyze(Query *query)
{
	Definition *definition = palloc0(sizeof(Definition));

	definition->query = query;
	definition->stream_index = definition_find_stream(query);
	definition->stream = rt_fetch(definition->stream_index, query->rtable)->relid;
	definition_inspect(query, definition->stream_index);
	definition_find_window(definition);
	load_keys(definition);
	definition_load_calls(definition);
	definition_inspect_session(definition);
	return definition;
}
