/*
 * coarser.c - an aggregate's query with greater windows: that of a rollup.
 *
 * The analysed query stays as it is but for the arguments of its window, and PostgreSQL prints it.  Only
 * windows that follow one another can be put together, and only where nothing but the grouping reads
 * them: then the groups of the greater windows are the merged groups of the smaller ones.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "rollup.h"
#include "streamagg.h"
#include "window_query.h"

static void refuse(const char *reason, const char *hint) pg_attribute_noreturn();

static void
refuse(const char *reason, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s", reason),
					hint ? errhint("%s", hint) : 0));
}

/* ---------------------------------------------------------------- the window */

/* Each of the units is made of whole ones before it but for weeks, which months cut. */
static const struct
{
	const char *unit;
	Interval size;
} units[] = {
	{"second", {.time = USECS_PER_SEC}},
	{"minute", {.time = USECS_PER_MINUTE}},
	{"hour", {.time = USECS_PER_HOUR}},
	{"day", {.day = 1}},
	{"week", {.day = 7}},
	{"month", {.month = 1}},
	{"quarter", {.month = 3}},
	{"year", {.month = 12}},
};

static int
unit_of_name(const char *name)
{
	for (size_t i = 0; i < lengthof(units); i++)
		if (pg_strcasecmp(units[i].unit, name) == 0)
			return i;
	elog(ERROR, "date_trunc('%s') is no window", name);
}

/* 30 days are no month here, though they are for the operator =. */
static bool
is_same_size(const Interval *a, const Interval *b)
{
	return a->month == b->month &&
		   a->day * USECS_PER_DAY + a->time == b->day * USECS_PER_DAY + b->time;
}

static int
unit_of_size(const Interval *size)
{
	for (size_t i = 0; i < lengthof(units); i++)
		if (is_same_size(&units[i].size, size))
			return i;
	refuse("a rollup of date_trunc windows must have the size of a unit",
		   "Sizes are 1 minute, 1 hour, 1 day, 7 days, 1 month, 3 months and 1 year.");
}

static void
coarsen_calendar(const Window *window, const Interval *size, Window *coarser)
{
	int from = unit_of_name(window->unit);
	int to = unit_of_size(size);

	if (to <= from)
		refuse("the windows of a rollup must be greater than those of its aggregate", NULL);
	if (strcmp(units[from].unit, "week") == 0)
		refuse("weeks cannot be put together to months or years",
			   "Make the rollup of an aggregate per day.");
	*coarser = *window;
	coarser->unit = pstrdup(units[to].unit);
}

void
rollup_coarsen(const Window *window, const Interval *size, Window *coarser)
{
	if (window->kind == WINDOW_NONE)
		refuse("an aggregate without a time window cannot be rolled up", NULL);
	if (window->kind == WINDOW_DATE_TRUNC)
	{
		coarsen_calendar(window, size, coarser);
		return;
	}
	if (window->kind == WINDOW_SESSION)
		refuse("sessions cannot be rolled up", NULL);
	if (window->kind != WINDOW_TUMBLE)
		refuse("only aggregates whose windows do not overlap can be rolled up",
			   "Roll up an aggregate over streamagg.tumble, date_bin or date_trunc.");
	*coarser = *window;
	coarser->size = window_size(size);
	if (coarser->size <= window->size)
		refuse("the windows of a rollup must be greater than those of its aggregate", NULL);
	if (coarser->size % window->size != 0)
		refuse("the size of a rollup must be a multiple of the size of its aggregate's windows",
			   "A window that is cut in two cannot be divided between them.");
}

/* ---------------------------------------------------------------- who reads the window */

static void
require_window_as_key_only(const Definition *definition)
{
	if (!window_is_key_only(definition))
		refuse("an aggregate whose rows depend on their window cannot be rolled up",
			   "Its window stands in WHERE, in a join, in another key or within an aggregate "
			   "function: greater windows would give other values.");
}

/* ---------------------------------------------------------------- the query */

typedef struct Change
{
	const Definition *definition;
	const Window *coarser;
} Change;

static Const *
text_constant(const char *text)
{
	return makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(text), false,
					 false);
}

/* date_bin(stride, time, origin), date_trunc(unit, time, zone) */
static Node *
coarser_key(FuncExpr *key, const Window *coarser)
{
	FuncExpr *call = copyObject(key);
	Const *size = coarser->kind == WINDOW_TUMBLE ? window_interval_constant(coarser->size)
												 : text_constant(coarser->unit);

	linitial(call->args) = size;
	return (Node *) call;
}

static Node *
change_keys(Node *node, void *argument)
{
	const Change *change = argument;

	if (node == NULL)
		return NULL;
	if (equal(node, change->definition->window_keys[0]))
		return coarser_key((FuncExpr *) node, change->coarser);
	return expression_tree_mutator(node, change_keys, argument);
}

/* tumble(time, size, origin), its arguments by place, whatever way they were given. */
static void
change_function(Query *query, const Change *change)
{
	RangeTblEntry *entry = rt_fetch(change->definition->window_index, query->rtable);
	RangeTblFunction *function = linitial_node(RangeTblFunction, entry->functions);
	FuncExpr *call = castNode(FuncExpr, function->funcexpr);
	ListCell *cell;
	Node *time = NULL;

	foreach (cell, call->args)
	{
		Node *argument = lfirst(cell);

		if (!IsA(argument, NamedArgExpr) && time == NULL)
			time = argument;
		else if (IsA(argument, NamedArgExpr) && ((NamedArgExpr *) argument)->argnumber == 0)
			time = (Node *) ((NamedArgExpr *) argument)->arg;
	}
	call->args = list_make3(time, window_interval_constant(change->coarser->size),
							window_time_constant(change->coarser->origin));
}

char *
rollup_query(Definition *definition, const Window *coarser)
{
	Query *query = copyObject(definition->query);
	Change change = {definition, coarser};

	require_window_as_key_only(definition);
	if (definition->window_index)
		change_function(query, &change);
	else
	{
		query->targetList = (List *) change_keys((Node *) query->targetList, &change);
		query->havingQual = change_keys(query->havingQual, &change);
	}
	return pg_get_querydef(query, false);
}
