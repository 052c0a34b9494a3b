/*
 * rewrite_view.c - what an aggregate shows: its query's expressions over the state table.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/ruleutils.h"

#include "rewrite_parts.h"
#include "rules.h"
#include "streamagg.h"

/* The final value of a call from its stored ones, in the type that the query's call has. */
static char *
final_sql(const Call *call)
{
	const char **columns = palloc(sizeof(char *) * call->rule->count);
	char *value;

	for (int i = 0; i < call->rule->count; i++)
		columns[i] = psprintf("s.%s", quote_identifier(call->columns[i]));
	value = rules_apply(call->rule->final, columns, call->rule->count);
	if (strcmp(call->rule->final, "$1") == 0)
		return value; /* NULL where it is not known */
	value = rewrite_if_known(call, "s", value);
	return psprintf("(%s)::%s", value, format_type_be_qualified(call->aggref->aggtype));
}

char *
rewrite_window_end(const Definition *definition, const char *alias, int64 plus)
{
	const Key *last = &definition->keys[definition->nwindow - 1];
	const char *column = psprintf("%s.%s", alias, quote_identifier(last->column));

	if (definition->nwindow == 1)
		return window_end_sql(&definition->window, column, plus);
	return window_shift_sql(column, plus);
}

/* closing watermark >= window_end + allowed_lateness; read once a query, not once a row */
static char *
is_final_sql(const Definition *definition, const char *state, int64 lateness)
{
	if (definition->nwindow == 0)
		return pstrdup("false");
	return psprintf("(SELECT streamagg.closed_until(%s::pg_catalog.regclass)) >= %s",
					quote_literal_cstr(state), rewrite_window_end(definition, "s", lateness));
}

/*
 * The state's columns under the names _k1 …, _a1 …, and _end for the end of the window: what the
 * view's expressions are written over.  Column n of the range table entry is target n.
 */
char *
rewrite_state_select(const Definition *definition, const char *state, int64 lateness)
{
	StringInfoData sql;
	ListCell *cell;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	for (int i = 0; i < definition->nkeys; i++)
		appendStringInfo(&sql, "s.%s AS _k%d, ", quote_identifier(definition->keys[i].column),
						 i + 1);
	for (int i = 0; i < definition->ncalls; i++)
		appendStringInfo(&sql, "%s AS _a%d, ", final_sql(&definition->calls[i]), i + 1);
	appendStringInfo(&sql, "%s AS is_final, s.updated_at",
					 is_final_sql(definition, state, lateness));
	foreach (cell, definition_known_columns(definition))
		appendStringInfo(&sql, ", s.%s", (char *) lfirst(cell));
	if (definition->window_index)
		appendStringInfo(&sql, ", %s AS _end", rewrite_window_end(definition, "s", 0));
	appendStringInfo(&sql, " FROM %s s", state);
	return sql.data;
}

typedef struct ViewContext
{
	const Definition *definition;
	List *columns; /* target entries of rewrite_state_select */
} ViewContext;

static Node *
state_column(const ViewContext *context, int number)
{
	return (Node *) makeVarFromTargetEntry(1, list_nth(context->columns, number - 1));
}

/* Replaces keys and aggregate calls by the columns that hold them. */
static Node *
over_state(Node *node, void *argument)
{
	ViewContext *context = argument;
	const Definition *definition = context->definition;
	Var *var;

	if (node == NULL)
		return NULL;
	for (int i = 0; i < definition->nkeys; i++)
		if (equal(node, definition->keys[i].expression))
			return state_column(context, i + 1);
	for (int i = 0; i < definition->ncalls; i++)
		if (equal(node, definition->calls[i].aggref))
			return state_column(context, definition->nkeys + i + 1);
	if (!IsA(node, Var))
		return expression_tree_mutator(node, over_state, argument);
	var = (Var *) node;
	if (definition->window_index && var->varno == (int) definition->window_index &&
		var->varattno == 2)
		return state_column(context, list_length(context->columns));
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("column \"%s\" of the SELECT list must appear in GROUP BY",
						   get_rte_attribute_name(rt_fetch(var->varno, definition->query->rtable),
												  var->varattno)),
					errhint("A column that depends on a grouped primary key does not suffice.")));
}

/* ---------------------------------------------------------------- what is not known of a group */

typedef struct Markers
{
	const ViewContext *context;
	List *found; /* of the calls in an expression, each once, as columns */
} Markers;

static bool
find_markers(Node *node, void *argument)
{
	Markers *markers = argument;
	const Definition *definition = markers->context->definition;
	ListCell *cell;

	if (node == NULL)
		return false;
	for (int i = 0; i < definition->ncalls; i++)
	{
		if (definition->calls[i].known == NULL || !equal(node, definition->calls[i].aggref))
			continue;
		foreach (cell, definition_known_columns(definition))
			if (strcmp(lfirst(cell), definition->calls[i].known) == 0)
				markers->found = list_append_unique(
					markers->found,
					state_column(markers->context, definition->nkeys + definition->ncalls + 3 +
													   foreach_current_index(cell)));
	}
	return expression_tree_walker(node, find_markers, argument);
}

/* NULL as a whole where a call is not known: coalesce() would make a value of a part. */
static Expr *
if_known(Expr *output, ViewContext *context)
{
	Node *value = over_state((Node *) output, context);
	Markers markers = {context, NIL};
	CaseExpr *choice;
	CaseWhen *when;

	(void) find_markers((Node *) output, &markers);
	if (markers.found == NIL)
		return (Expr *) value;
	when = makeNode(CaseWhen);
	when->expr = make_ands_explicit(markers.found);
	when->result = (Expr *) value;
	when->location = -1;
	choice = makeNode(CaseExpr);
	choice->casetype = exprType(value);
	choice->casecollid = exprCollation(value);
	choice->args = list_make1(when);
	choice->defresult =
		(Expr *) makeNullConst(choice->casetype, exprTypmod(value), choice->casecollid);
	choice->location = -1;
	return (Expr *) choice;
}

/* Those that the query shows, over the stored values. */
static List *
add_outputs(List *targets, ViewContext *context)
{
	ListCell *cell;

	foreach (cell, context->definition->query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk)
			rewrite_add_target(&targets, (Node *) if_known(target->expr, context), target->resname);
	}
	return targets;
}

static Query *
over_select(const char *select, ViewContext *context)
{
	Query *outer = definition_parse(psprintf("SELECT 1 FROM (%s) f", select));

	context->columns = linitial_node(RangeTblEntry, outer->rtable)->subquery->targetList;
	return outer;
}

char *
rewrite_values(const Definition *definition, const char *select)
{
	ViewContext context = {definition, NIL};
	Query *outer = over_select(select, &context);
	int stored = definition->nkeys + definition->ncalls;
	List *targets = NIL;
	ListCell *cell;

	for (int i = 1; i <= stored; i++)
		rewrite_add_target(&targets, state_column(&context, i),
						   list_nth_node(TargetEntry, context.columns, i - 1)->resname);
	outer->targetList = add_outputs(targets, &context);
	for_each_from (cell, outer->targetList, stored)
		lfirst_node(TargetEntry, cell)->resname =
			psprintf("_o%d", foreach_current_index(cell) - stored + 1);
	foreach (cell, definition_known_columns(definition))
		rewrite_add_target(&outer->targetList,
						   state_column(&context, stored + 3 + foreach_current_index(cell)),
						   lfirst(cell));
	return pg_get_querydef(outer, false);
}

char *
rewrite_view(const Definition *definition, const char *state, int64 lateness, bool emit_final)
{
	ViewContext context = {definition, NIL};
	Query *outer = over_select(rewrite_state_select(definition, state, lateness), &context);
	int is_final = definition->nkeys + definition->ncalls + 1;
	List *outputs = add_outputs(NIL, &context);
	List *targets = list_copy_head(outputs, list_length(outputs) - definition->added);
	Node *condition;
	ListCell *cell;

	rewrite_add_target(&targets, state_column(&context, is_final), "is_final");
	rewrite_add_target(&targets, state_column(&context, is_final + 1), "updated_at");
	for_each_from (cell, outputs, list_length(outputs) - definition->added)
		rewrite_add_target(&targets, (Node *) lfirst_node(TargetEntry, cell)->expr,
						   lfirst_node(TargetEntry, cell)->resname);
	condition = over_state(copyObject(definition->query->havingQual), &context);
	if (emit_final)
		condition = make_and_qual(condition, state_column(&context, is_final));
	outer->targetList = targets;
	outer->jointree->quals = condition;
	return pg_get_querydef(outer, false);
}
