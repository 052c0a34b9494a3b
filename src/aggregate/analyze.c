/*
 * analyze.c - finds the stream, the window, the keys and the aggregate calls of a query.
 *
 * It works on PostgreSQL's own analysed query: `l.d` and `d` are one expression there, and `*` is
 * expanded.  What may stand in the query is inspect.c's business, what is made of it rewrite.c's.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "definition.h"
#include "rules.h"
#include "stream.h"
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
			(strcmp(function, "hop") == 0 || strcmp(function, "cumulate") == 0 ||
			 strcmp(function, "session") == 0))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("%s windows are not supported yet", function),
							errhint("Use streamagg.tumble, date_bin or date_trunc.")));
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

/* ---------------------------------------------------------------- windows */

static void
refuse_window(const char *reason, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s", reason),
					hint ? errhint("%s", hint) : 0));
}

static bool
is_event_time(const Definition *definition, Node *node)
{
	RangeTblEntry *entry = rt_fetch(definition->stream_index, definition->query->rtable);
	const char *column = stream_option(entry->relid, "event_time", "");

	return IsA(node, Var) && ((Var *) node)->varno == (int) definition->stream_index &&
		   ((Var *) node)->varattno == get_attnum(entry->relid, column);
}

static Datum
constant_argument(Node *node)
{
	if (!IsA(node, Const) || ((Const *) node)->constisnull)
		refuse_window("the arguments of a window must be constants",
					  "Make an aggregate for each size.");
	return ((Const *) node)->constvalue;
}

/* The call with its arguments in order, defaults added and constants folded. */
static FuncExpr *
folded_call(Node *call)
{
	Node *folded = eval_const_expressions(NULL, copyObject(call));

	return IsA(folded, FuncExpr) ? (FuncExpr *) folded : NULL;
}

static bool
is_tumble(Oid function)
{
	return get_func_namespace(function) == get_namespace_oid(STREAMAGG_NAME, false) &&
		   strcmp(get_func_name(function), "tumble") == 0;
}

static void
set_fixed_window(Definition *definition, Datum size, Datum origin)
{
	definition->window.kind = WINDOW_TUMBLE;
	definition->window.size = window_size(DatumGetIntervalP(size));
	definition->window.origin = DatumGetTimestampTz(origin);
	if (TIMESTAMP_NOT_FINITE(definition->window.origin))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the origin of windows must be finite")));
}

static void
require_event_time(const Definition *definition, Node *node)
{
	if (!is_event_time(definition, node))
		refuse_window("a window must be over the stream's event_time column",
					  "Group by the expression itself: any other key is never late.");
}

static void
load_window_function(Definition *definition, Index index, RangeTblEntry *entry)
{
	RangeTblFunction *function = linitial_node(RangeTblFunction, entry->functions);
	FuncExpr *call = folded_call(function->funcexpr);

	if (call == NULL || !is_tumble(call->funcid))
		refuse_window("only window functions can be called in the FROM clause",
					  "Call other functions in the SELECT list or in WHERE.");
	if (definition->window_index)
		refuse_window("a continuous aggregate cannot have two windows",
					  "Make an aggregate for each.");
	require_event_time(definition, linitial(call->args));
	set_fixed_window(definition, constant_argument(lsecond(call->args)),
					 constant_argument(lthird(call->args)));
	definition->window_index = index;
	definition->window_key = (Node *) makeVar(index, 1, TIMESTAMPTZOID, -1, InvalidOid, 0);
}

static void
find_window_function(Definition *definition)
{
	Index index = 0;
	ListCell *cell;

	foreach (cell, definition->query->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		index++;
		if (entry->rtekind == RTE_FUNCTION)
			load_window_function(definition, index, entry);
	}
}

/* Start or end of the window function in FROM: both stand for the window. */
static bool
is_window_column(const Definition *definition, Node *key)
{
	return definition->window_index && IsA(key, Var) &&
		   ((Var *) key)->varno == (int) definition->window_index;
}

/* date_bin and date_trunc in a zone, of the event time, as a key by itself. */
static bool
load_window_key(Definition *definition, Node *key)
{
	FuncExpr *call = IsA(key, FuncExpr) ? folded_call(key) : NULL;

	if (call == NULL)
		return false;
	if (call->funcid == F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ &&
		is_event_time(definition, lsecond(call->args)))
		set_fixed_window(definition, constant_argument(linitial(call->args)),
						 constant_argument(lthird(call->args)));
	else if (call->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT &&
			 is_event_time(definition, lsecond(call->args)))
	{
		definition->window.kind = WINDOW_DATE_TRUNC;
		definition->window.unit = TextDatumGetCString(constant_argument(linitial(call->args)));
		definition->window.zone = TextDatumGetCString(constant_argument(lthird(call->args)));
		window_check_unit(definition->window.unit, definition->window.zone);
	}
	else
		return false;
	if (definition->window_key)
		refuse_window("a continuous aggregate cannot have two windows",
					  "Make an aggregate for each.");
	definition->window_key = key;
	return true;
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
	ListCell *cell;
	int n = 1; /* the first is the window's */

	definition->keys = palloc0(sizeof(Key) * (list_length(query->groupClause) + 2));
	foreach (cell, query->groupClause)
	{
		Node *key = get_sortgroupclause_expr(lfirst(cell), query->targetList);

		require_btree(key);
		if (is_window_column(definition, key) || load_window_key(definition, key))
			window_grouped = true;
		else
			definition->keys[n++].expression = key;
	}
	if (definition->window_key && !window_grouped)
		refuse_window("a query with a window must group by it",
					  "Add window_start and window_end to GROUP BY.");
	definition->keys[0].expression = definition->window_key;
	definition->nkeys = n;
	if (definition->window_key == NULL)
	{
		definition->keys++;
		definition->nkeys--;
	}
}

/* ---------------------------------------------------------------- aggregate calls */

static Call *
find_call(const Definition *definition, const Aggref *aggref)
{
	for (int i = 0; i < definition->ncalls; i++)
		if (equal(definition->calls[i].aggref, aggref))
			return &definition->calls[i];
	return NULL;
}

static void
add_call(Definition *definition, Aggref *aggref)
{
	Call *call;

	if (find_call(definition, aggref))
		return;
	if (list_length(aggref->args) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate function %s has no merge rule", get_func_name(aggref->aggfnoid)),
				 errhint("Functions with one are listed in streamagg.merge_rules.")));
	definition->calls = definition->calls == NULL
							? palloc(sizeof(Call))
							: repalloc(definition->calls, sizeof(Call) * (definition->ncalls + 1));
	call = &definition->calls[definition->ncalls++];
	memset(call, 0, sizeof(Call));
	call->aggref = aggref;
	call->rule = rules_find(aggref->aggfnoid);
}

static bool
collect_calls(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Aggref))
		return expression_tree_walker(node, collect_calls, context);
	add_call(context, (Aggref *) node);
	return false;
}

static void
load_calls(Definition *definition)
{
	ListCell *cell;

	(void) collect_calls((Node *) definition->query->targetList, definition);
	(void) collect_calls(definition->query->havingQual, definition);
	foreach (cell, definition->query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);
		Call *call =
			IsA(target->expr, Aggref) ? find_call(definition, (Aggref *) target->expr) : NULL;

		if (call && call->output == NULL)
			call->output = target->resname;
	}
}

Definition *
definition_analyze(Query *query)
{
	Definition *definition = palloc0(sizeof(Definition));

	definition->query = query;
	definition->stream_index = definition_find_stream(query);
	definition->stream = rt_fetch(definition->stream_index, query->rtable)->relid;
	definition_inspect(query, definition->stream_index);
	find_window_function(definition);
	load_keys(definition);
	load_calls(definition);
	return definition;
}

/* ---------------------------------------------------------------- names of state columns */

static bool
is_taken(List *taken, const char *name)
{
	ListCell *cell;

	foreach (cell, taken)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

/* The name, cut to fit, or with a number behind it when it is taken. */
static char *
claim(List **taken, const char *name)
{
	char *found = pnstrdup(name, NAMEDATALEN - 1);

	for (int i = 2; is_taken(*taken, found); i++)
		found = psprintf("%.*s_%d", NAMEDATALEN - 8, name, i);
	*taken = lappend(*taken, found);
	return found;
}

static const char *
output_of_key(const Definition *definition, const Key *key)
{
	ListCell *cell;

	foreach (cell, definition->query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk && equal(target->expr, key->expression))
			return target->resname;
	}
	return NULL;
}

static void
name_call(Call *call, List **taken, int *number)
{
	call->columns = palloc(sizeof(char *) * call->rule->count);
	for (int i = 0; i < call->rule->count; i++)
	{
		const char *name;

		if (call->output && call->rule->count == 1)
			name = call->output;
		else if (call->output)
			name = psprintf("%.*s__%s", NAMEDATALEN - 16, call->output,
							strstr(call->rule->partials[i], "count(") ? "count" : "sum");
		else
			name = psprintf("_s%d", ++*number);
		call->columns[i] = claim(taken, name);
	}
}

/* Names that the state table has already: its own, and the system columns'. */
static List *
reserved_names(const Definition *definition)
{
	static char *const names[] = {"updated_at", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"};
	List *taken = NIL;

	for (size_t i = 0; i < lengthof(names); i++)
		taken = lappend(taken, names[i]);
	if (definition->nkeys == 0)
		taken = lappend(taken, "_k1"); /* the one group's, see rewrite.c */
	return taken;
}

void
definition_name_columns(Definition *definition)
{
	List *taken = reserved_names(definition);
	int number = 0;

	for (int i = 0; i < definition->nkeys; i++)
	{
		const char *output = output_of_key(definition, &definition->keys[i]);

		definition->keys[i].column = claim(&taken, output ? output : psprintf("_k%d", i + 1));
	}
	for (int i = 0; i < definition->ncalls; i++)
		name_call(&definition->calls[i], &taken, &number);
}

void
definition_set_columns(Definition *definition, List *keys, List *states)
{
	int at = 0;

	if (list_length(keys) != definition->nkeys)
		elog(ERROR, "the definition has %d keys, the state table %d", definition->nkeys,
			 list_length(keys));
	for (int i = 0; i < definition->nkeys; i++)
		definition->keys[i].column = list_nth(keys, i);
	for (int i = 0; i < definition->ncalls; i++)
	{
		Call *call = &definition->calls[i];

		call->columns = palloc(sizeof(char *) * call->rule->count);
		for (int j = 0; j < call->rule->count; j++)
			call->columns[j] = list_nth(states, at++);
	}
}
