/*
 * inspect.c - which queries can be continuous aggregates: a list of what is allowed.
 *
 * Everything that is not on it is refused with its reason, never approximated.  It looks at the
 * analysed query, so names and casts are resolved.  Who calls it: analyze.c.
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "definition.h"
#include "rules.h"
#include "stream.h"
#include "streamagg.h"

static void refuse(const char *what, const char *hint) pg_attribute_noreturn();

static void
refuse(const char *what, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("a continuous aggregate cannot have %s", what),
					hint ? errhint("%s", hint) : 0));
}

/* ---------------------------------------------------------------- the query's clauses */

static void
inspect_clauses(const Query *query)
{
	const char *over_view = "Write it in a query over the aggregate's view.";

	if (query->commandType != CMD_SELECT || query->utilityStmt)
		refuse("anything but a SELECT", "The query of an aggregate is one SELECT.");
	if (query->cteList || query->hasRecursive)
		refuse("a WITH clause", "Join ordinary tables in FROM.");
	if (query->hasSubLinks)
		refuse("subqueries", "Join ordinary tables in FROM.");
	if (query->setOperations)
		refuse("UNION, INTERSECT or EXCEPT", over_view);
	if (query->groupingSets)
		refuse("GROUPING SETS, ROLLUP or CUBE", "Make an aggregate for each grouping.");
	if (query->distinctClause || query->hasDistinctOn)
		refuse("SELECT DISTINCT", "Use GROUP BY.");
	if (query->hasWindowFuncs)
		refuse("window functions (OVER)", over_view);
	if (query->hasTargetSRFs)
		refuse("set-returning functions in its SELECT list", over_view);
	if (query->sortClause)
		refuse("ORDER BY", over_view);
	if (query->limitCount || query->limitOffset)
		refuse("LIMIT or OFFSET", over_view);
	if (query->rowMarks)
		refuse("FOR UPDATE or FOR SHARE", "Leave it out: nothing is locked by reading.");
	if (!query->hasAggs && !query->groupClause)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a continuous aggregate needs an aggregate function or GROUP BY"),
						errhint("It stores groups, not the rows themselves.")));
}

/* ---------------------------------------------------------------- FROM */

static bool
is_stream_entry(const RangeTblEntry *entry)
{
	return entry->rtekind == RTE_RELATION && stream_is_stream(entry->relid);
}

Index
definition_find_stream(Query *query)
{
	Index found = 0;
	Index index = 0;
	ListCell *cell;

	foreach (cell, query->rtable)
	{
		index++;
		if (!is_stream_entry(lfirst_node(RangeTblEntry, cell)))
			continue;
		if (found)
			refuse("more than one stream, or one twice", "Join ordinary tables in FROM.");
		found = index;
	}
	if (found == 0)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("the query has no stream in its FROM clause"),
						errhint("A stream is a foreign table of the wrapper streamagg_kafka; the "
								"view streamagg.streams lists them.")));
	return found;
}

static void
inspect_relation(const RangeTblEntry *entry)
{
	const char *name = get_rel_name(entry->relid);

	if (entry->tablesample)
		refuse("TABLESAMPLE", "Filter in WHERE by something that the record holds.");
	if (is_stream_entry(entry))
		return;
	if (entry->relkind == RELKIND_VIEW)
		refuse(psprintf("the view \"%s\" in its FROM clause", name),
			   "Join the tables that the view is made of.");
	if (entry->relkind != RELKIND_RELATION && entry->relkind != RELKIND_PARTITIONED_TABLE &&
		entry->relkind != RELKIND_MATVIEW)
		refuse(psprintf("\"%s\" in its FROM clause", name), "Only ordinary tables can be joined.");
}

static void
inspect_from_entries(const Query *query)
{
	ListCell *cell;

	foreach (cell, query->rtable)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		switch (entry->rtekind)
		{
			case RTE_RELATION:
				inspect_relation(entry);
				break;
			case RTE_FUNCTION: /* analyze.c looks at which one */
				if (list_length(entry->functions) != 1 || entry->funcordinality)
					refuse("ROWS FROM or WITH ORDINALITY", "Call the window function by itself.");
				break;
			case RTE_JOIN:
				if (entry->alias)
					refuse("an aliased join", "Give the tables aliases of their own.");
				break;
			case RTE_SUBQUERY:
				refuse("a subquery in its FROM clause", "Join ordinary tables.");
			case RTE_VALUES:
				refuse("VALUES in its FROM clause", "Join an ordinary table.");
			default:
				refuse("this kind of FROM item", "Join ordinary tables.");
		}
	}
}

/* The rows of the nullable side of an outer join are not the stream's rows any more. */
static void
inspect_nullable(const Query *query, int index, Index stream_index)
{
	if (index == (int) stream_index)
		refuse("its stream on the nullable side of an outer join",
			   "Put the stream on the other side.");
	if (rt_fetch(index, query->rtable)->rtekind == RTE_FUNCTION)
		refuse("a window function on the nullable side of an outer join",
			   "Use a comma, CROSS JOIN, or JOIN … ON true.");
}

static void
inspect_join_tree(const Query *query, Node *node, Index stream_index, bool nullable)
{
	if (IsA(node, RangeTblRef))
	{
		if (nullable)
			inspect_nullable(query, ((RangeTblRef *) node)->rtindex, stream_index);
	}
	else if (IsA(node, FromExpr))
	{
		ListCell *cell;

		foreach (cell, ((FromExpr *) node)->fromlist)
			inspect_join_tree(query, lfirst(cell), stream_index, nullable);
	}
	else
	{
		JoinExpr *join = castNode(JoinExpr, node);
		bool left = join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL;
		bool right = join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL;

		inspect_join_tree(query, join->larg, stream_index, nullable || left);
		inspect_join_tree(query, join->rarg, stream_index, nullable || right);
	}
}

/* ---------------------------------------------------------------- expressions */

/* Functions whose result is the moment's or the session's, though they are marked stable. */
static bool
reads_session(Oid function, void *context)
{
	switch (function)
	{
		case F_NOW:
		case F_TRANSACTION_TIMESTAMP:
		case F_STATEMENT_TIMESTAMP:
		case F_AGE_TIMESTAMPTZ:
		case F_AGE_TIMESTAMP:
		case F_AGE_XID:
		case F_PG_POSTMASTER_START_TIME:
		case F_CURRENT_SETTING_TEXT:
		case F_CURRENT_SETTING_TEXT_BOOL:
		case F_CURRENT_DATABASE:
		case F_PG_BACKEND_PID:
		case F_INET_CLIENT_ADDR:
		case F_INET_CLIENT_PORT:
		case F_INET_SERVER_ADDR:
		case F_INET_SERVER_PORT:
		case F_TXID_CURRENT:
		case F_TXID_CURRENT_SNAPSHOT:
		case F_TXID_CURRENT_IF_ASSIGNED:
		case F_PG_CURRENT_XACT_ID:
		case F_PG_CURRENT_XACT_ID_IF_ASSIGNED:
		case F_PG_CURRENT_SNAPSHOT:
		case F_PG_CONF_LOAD_TIME:
		case F_PG_TRIGGER_DEPTH:
		case F_PG_MY_TEMP_SCHEMA:
		case F_CURRENT_SCHEMA:
		case F_CURRENT_SCHEMAS:
		case F_SESSION_USER:
		case F_CURRENT_USER:
			return true;
		default:
			return false;
	}
}

static const char *
advice_of(const Aggref *aggref)
{
	const Advice *advice = rules_advice(aggref->aggfnoid);

	return advice ? advice->hint : "Its result cannot be merged from the results of batches.";
}

static void
inspect_aggregate(const Aggref *aggref)
{
	const char *name = get_func_name(aggref->aggfnoid);

	if (aggref->agglevelsup > 0)
		refuse("aggregates of an outer query", "Write the aggregate in the query itself.");
	if (aggref->aggkind != AGGKIND_NORMAL)
		refuse(psprintf("the ordered-set aggregate %s", name), advice_of(aggref));
	if (aggref->aggdistinct && list_length(aggref->args) > 1)
		refuse(psprintf("%s(DISTINCT …) of several arguments", name),
			   "DISTINCT can be had for functions of one argument.");
	if (aggref->aggorder)
		refuse(psprintf("ORDER BY inside %s", name),
			   "What can be merged does not depend on the order: leave it out.");
}

static bool
inspect_expression(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varattno < 0)
		refuse("system columns", "Records have none; see the option meta of columns.");
	if (IsA(node, Aggref))
		inspect_aggregate((Aggref *) node);
	if (IsA(node, GroupingFunc))
		refuse("GROUPING()", "Make an aggregate for each grouping.");
	if (IsA(node, SQLValueFunction) || check_functions_in_node(node, reads_session, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous aggregate cannot read the clock or the session"),
				 errdetail("The same records must give the same result whenever they are read."),
				 errhint("Use the stream's event time, or a condition in a query over the view.")));
	return expression_tree_walker(node, inspect_expression, context);
}

void
definition_inspect_shape(Query *query)
{
	inspect_clauses(query);
	inspect_from_entries(query);
}

void
definition_inspect(Query *query, Index stream_index)
{
	definition_inspect_shape(query);
	inspect_join_tree(query, (Node *) query->jointree, stream_index, false);
	(void) query_tree_walker(query, inspect_expression, NULL, 0);
	if (contain_volatile_functions((Node *) query))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous aggregate cannot use volatile functions"),
				 errdetail("The same records must give the same result whenever they are read."),
				 errhint("Use functions that are immutable or stable.")));
}
