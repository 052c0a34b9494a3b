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

/* Window functions of later versions do not exist yet: say so instead of 42883. */
static bool
refuse_later_windows(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall))
	{
		List *name = ((FuncCall *) node)->funcname;
		const char *function = strVal(llast(name));

		if (list_length(name) == 2 && strcmp(strVal(linitial(name)), STREAMAGG_NAME) == 0 &&
			(strcmp(function, "hop") == 0 || strcmp(function, "cumulate") == 0))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s windows are not supported yet", function),
					 errhint("Use streamagg.tumble, streamagg.session, date_bin or date_trunc.")));
	}
	return raw_expression_tree_walker(node, refuse_later_windows, context);
}

Query *
definition_parse(const char *sql)
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
	(void) refuse_later_windows(statement->stmt, NULL);
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
		if (definition_is_window_column(definition, key) ||
			definition_load_window_key(definition, key))
			window_grouped = true;
		else
			others = lappend(others, key);
	}
	if (definition->nwindow > 0 && !window_grouped)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a query with a window must group by it"),
						errhint("Add window_start and window_end to GROUP BY.")));
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
