/*
 * rule_template.c - reads the templates of a merge rule of one's own.
 *
 * They become part of statements that run as the owners of streams, so what is stored is not the text that
 * was given but PostgreSQL's print of the one expression that it was understood as: nothing can stand
 * behind it, and no name in it depends on a search_path.  It calls nothing but immutable functions.
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_target.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "rule_template.h"
#include "streamagg.h"

#define SELECT_WORD "SELECT "

static void
refuse(const Template *template, const char *why, const char *hint) pg_attribute_noreturn();

static void
refuse(const Template *template, const char *why, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					errmsg("%s of the merge rule %s", template->what, why), errhint("%s", hint)));
}

/* ---------------------------------------------------------------- one expression */

static bool
is_one_expression(const Query *query)
{
	return query->commandType == CMD_SELECT && query->utilityStmt == NULL &&
		   list_length(query->targetList) == 1 && query->rtable == NIL && query->cteList == NIL &&
		   query->jointree->quals == NULL && query->groupClause == NIL &&
		   query->groupingSets == NIL && query->havingQual == NULL && query->windowClause == NIL &&
		   query->distinctClause == NIL && query->sortClause == NIL && query->limitCount == NULL &&
		   query->limitOffset == NULL && query->rowMarks == NIL && query->setOperations == NULL &&
		   !query->hasSubLinks && !query->hasWindowFuncs && !query->hasTargetSRFs;
}

static Query *
parse(Template *template, const Oid *types, int count)
{
	const char *hint = "Write one expression over $1, $2 …, without FROM or subqueries.";
	const char *sql = psprintf(SELECT_WORD "%s", template->text);
	List *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	Query *query;

	if (list_length(statements) != 1 || !IsA(select, SelectStmt) ||
		list_length(select->targetList) != 1 || select->lockingClause != NIL)
		refuse(template, "is not one expression", hint);
	template->name = pstrdup(FigureColname(linitial_node(ResTarget, select->targetList)->val));
	query = parse_analyze_fixedparams(linitial(statements), sql, types, count, NULL);
	if (!is_one_expression(query))
		refuse(template, "is not one expression", hint);
	return query;
}

/* ---------------------------------------------------------------- its text */

static Node *
expression_of(const Query *query)
{
	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

static bool
count_parameters(Node *node, void *count)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		(*(int *) count)++;
	return expression_tree_walker(node, count_parameters, count);
}

/* Parameters are replaced in the text, so nothing else in it may look like one. */
static bool
has_other_dollars(const char *text, Node *expression)
{
	int found = 0;
	int parameters = 0;

	(void) count_parameters(expression, &parameters);
	for (const char *at = text; *at; at++)
		found += at[0] == '$' && at[1] >= '0' && at[1] <= '9';
	return found != parameters;
}

static char *
print(const Template *template, Query *query)
{
	int level = NewGUCNestLevel();
	char *sql;

	catalog_pin_search_path();
	linitial_node(TargetEntry, query->targetList)->resname = NULL; /* no AS is printed */
	sql = pg_get_querydef(query, false);
	AtEOXact_GUC(true, level);
	while (*sql == ' ')
		sql++;
	if (strncmp(sql, SELECT_WORD, strlen(SELECT_WORD)) != 0)
		elog(ERROR, "unexpected text of an expression");
	sql += strlen(SELECT_WORD);
	if (has_other_dollars(sql, expression_of(query)))
		refuse(template, "has a $ and a digit that are no parameter",
			   "Constants and names in it must not hold them.");
	return sql;
}

/* ---------------------------------------------------------------- what it may be */

static void
take(Template *template, Query *query)
{
	Node *expression = expression_of(query);

	if (contain_mutable_functions(expression))
		refuse(template, "uses functions that are not immutable",
			   "The same records must give the same result whenever they are read.");
	template->type = exprType(expression);
	if (get_typtype(template->type) == TYPTYPE_PSEUDO)
		refuse(template, "gives no type that can be stored", "Cast it.");
	template->canonical = print(template, query);
}

void
template_read_expression(Template *template, const Oid *types, int count)
{
	Query *query = parse(template, types, count);

	if (query->hasAggs)
		refuse(template, "calls an aggregate function",
			   "Only partials are aggregates: a merge sees two stored values, the final all.");
	take(template, query);
}

static bool
has_volatile_state(Oid aggregate)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Oid function;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate);
	function = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggtransfn;
	ReleaseSysCache(tuple);
	return func_volatile(function) == PROVOLATILE_VOLATILE;
}

void
template_read_partial(Template *template, const Oid *types, int count)
{
	Query *query = parse(template, types, count);
	const Aggref *aggref = (const Aggref *) expression_of(query);

	if (!IsA(aggref, Aggref) || aggref->aggkind != AGGKIND_NORMAL || aggref->aggdistinct ||
		aggref->aggorder || aggref->aggfilter)
		refuse(template, "is not a plain call of an aggregate function",
			   "Such as sum($1): without DISTINCT, ORDER BY, FILTER, and nothing around it.");
	if (has_volatile_state(aggref->aggfnoid))
		refuse(template, "is an aggregate whose state function is volatile",
			   "The same records must give the same result whenever they are read.");
	take(template, query);
}
