/*
 * pushdown.c - conditions on meta columns, so that a scan need not read a whole topic.
 *
 * Taken are comparisons of a meta column with something that does not depend on the row: integers for
 * partition and offset, timestamptz for timestamp, and IN lists.  They only narrow: the executor
 * checks every row again.  Of times only the lower end counts: producers set them, so that a record
 * behind may be older than one before, and no offset is known after which all are younger.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "fdw/pushdown.h"
#include "integer.h"
#include "options.h"

/* column op expression, or column = ANY (expression) */
typedef struct Condition
{
	PushdownKind kind;
	int strategy; /* of a btree */
	bool any;
	Oid type; /* of the expression's value, or of its elements */
	Expr *expression;
	ExprState *state;
} Condition;

/* ---------------------------------------------------------------- finding */

static bool
find_kind(const ForeignScanState *node, const Node *side, PushdownKind *kind)
{
	static const char *const words[PUSHDOWN_KINDS] = {"partition", "offset", "timestamp"};
	const Var *var = (const Var *) side;
	const char *meta;

	if (!IsA(side, Var) || (Index) var->varno != ((Scan *) node->ss.ps.plan)->scanrelid ||
		var->varattno <= 0)
		return false;
	meta = options_get(
		GetForeignColumnOptions(RelationGetRelid(node->ss.ss_currentRelation), var->varattno),
		"meta", "");
	for (int i = 0; i < PUSHDOWN_KINDS; i++)
		if (strcmp(meta, words[i]) == 0)
		{
			*kind = i;
			return true;
		}
	return false;
}

static bool
is_the_same_for_all_rows(Node *expression)
{
	return !contain_var_clause(expression) && !contain_volatile_functions(expression) &&
		   !contain_subplans(expression);
}

/* A typmod may have rounded the time of a record up. */
static bool
is_comparable(PushdownKind kind, Oid type, int32 typmod)
{
	if (kind == PUSHDOWN_TIME)
		return type == TIMESTAMPTZOID && typmod < 0;
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/* The place of an operator among those that the column's type is ordered by. */
static int
find_strategy(Oid opno, Oid type)
{
	return get_op_opfamily_strategy(opno,
									lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf);
}

/* NULL when the condition is of no use. */
static Condition *
make_condition(const ForeignScanState *node, Node *column, Oid opno, Node *expression, bool any)
{
	Condition *condition = palloc0(sizeof(Condition));

	if (!OidIsValid(opno) || !find_kind(node, column, &condition->kind) ||
		!is_the_same_for_all_rows(expression))
		return NULL;
	condition->any = any;
	condition->expression = (Expr *) expression;
	condition->type = exprType(expression);
	if (any)
		condition->type = get_element_type(condition->type);
	if (!is_comparable(condition->kind, exprType(column), exprTypmod(column)) ||
		!is_comparable(condition->kind, condition->type, -1))
		return NULL;
	condition->strategy = find_strategy(opno, exprType(column));
	if (condition->strategy == InvalidStrategy ||
		(any && condition->strategy != BTEqualStrategyNumber))
		return NULL;
	return condition;
}

static Condition *
understand_comparison(const ForeignScanState *node, const OpExpr *comparison)
{
	Node *left = linitial(comparison->args);
	Node *right = lsecond(comparison->args);
	Condition *found = make_condition(node, left, comparison->opno, right, false);

	return found ? found
				 : make_condition(node, right, get_commutator(comparison->opno), left, false);
}

static Condition *
understand(const ForeignScanState *node, Node *clause)
{
	if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
		return understand_comparison(node, (OpExpr *) clause);
	if (IsA(clause, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) clause)->useOr)
	{
		ScalarArrayOpExpr *in = (ScalarArrayOpExpr *) clause;

		return make_condition(node, linitial(in->args), in->opno, lsecond(in->args), true);
	}
	return NULL;
}

List *
pushdown_find(ForeignScanState *node)
{
	List *conditions = NIL;
	ListCell *cell;

	foreach (cell, node->ss.ps.plan->qual)
	{
		Condition *condition = understand(node, lfirst(cell));

		if (condition == NULL)
			continue;
		condition->state = ExecInitExpr(condition->expression, &node->ss.ps);
		conditions = lappend(conditions, condition);
	}
	return conditions;
}

/* ---------------------------------------------------------------- bounds */

static void
nothing(PushdownRange *range)
{
	range->low = 1;
	range->high = 0;
}

static void
at_least(PushdownRange *range, int64 value)
{
	range->low = Max(range->low, value);
}

static void
at_most(PushdownRange *range, int64 value)
{
	range->high = Min(range->high, value);
}

static void
narrow(PushdownRange *range, int strategy, int64 value)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			if (value == PG_INT64_MIN)
				nothing(range);
			else
				at_most(range, value - 1);
			break;
		case BTLessEqualStrategyNumber:
			at_most(range, value);
			break;
		case BTEqualStrategyNumber:
			at_least(range, value);
			at_most(range, value);
			break;
		case BTGreaterEqualStrategyNumber:
			at_least(range, value);
			break;
		case BTGreaterStrategyNumber:
			if (value == PG_INT64_MAX)
				nothing(range);
			else
				at_least(range, value + 1);
			break;
	}
}

/* One list is kept, as it is; of several the first, the others only narrow the range. */
static void
narrow_to_any(PushdownBounds *bounds, const Condition *condition, ArrayType *array)
{
	PushdownRange *range = &bounds->ranges[condition->kind];
	PushdownRange found = {PG_INT64_MAX, PG_INT64_MIN};
	bool keep = condition->kind == PUSHDOWN_PARTITION && !bounds->listed;
	int16 length;
	bool by_value;
	char align;
	Datum *values;
	bool *isnull;
	int count;

	get_typlenbyvalalign(condition->type, &length, &by_value, &align);
	deconstruct_array(array, condition->type, length, by_value, align, &values, &isnull, &count);
	if (keep)
	{
		bounds->listed = true;
		bounds->list = palloc(sizeof(int64) * Max(count, 1));
	}
	for (int i = 0; i < count; i++)
	{
		int64 value = isnull[i] ? 0 : integer_of(values[i], length);

		if (isnull[i])
			continue;
		found.low = Min(found.low, value);
		found.high = Max(found.high, value);
		if (keep)
			bounds->list[bounds->nlist++] = value;
	}
	at_least(range, found.low);
	at_most(range, found.high);
}

static bool
value_of(const Condition *condition, ForeignScanState *node, bool evaluate, Datum *value,
		 bool *isnull)
{
	if (IsA(condition->expression, Const))
	{
		*value = ((Const *) condition->expression)->constvalue;
		*isnull = ((Const *) condition->expression)->constisnull;
		return true;
	}
	if (!evaluate)
		return false;
	*value = ExecEvalExprSwitchContext(condition->state, node->ss.ps.ps_ExprContext, isnull);
	return true;
}

PushdownBounds *
pushdown_bounds(List *conditions, ForeignScanState *node, bool evaluate)
{
	PushdownBounds *bounds = palloc0(sizeof(PushdownBounds));
	ListCell *cell;

	for (int i = 0; i < PUSHDOWN_KINDS; i++)
	{
		bounds->ranges[i].low = i == PUSHDOWN_TIME ? PG_INT64_MIN : 0;
		bounds->ranges[i].high = PG_INT64_MAX;
	}
	foreach (cell, conditions)
	{
		const Condition *condition = lfirst(cell);
		PushdownRange *range = &bounds->ranges[condition->kind];
		Datum value;
		bool isnull;

		if (!value_of(condition, node, evaluate, &value, &isnull))
			range->open_question = true;
		else if (isnull)
			nothing(range);
		else if (condition->any)
			narrow_to_any(bounds, condition, DatumGetArrayTypeP(value));
		else
			narrow(range, condition->strategy, integer_of(value, get_typlen(condition->type)));
	}
	return bounds;
}

bool
pushdown_takes_partition(const PushdownBounds *bounds, int32 partition)
{
	const PushdownRange *range = &bounds->ranges[PUSHDOWN_PARTITION];

	if (partition < range->low || partition > range->high)
		return false;
	for (int i = 0; i < bounds->nlist; i++)
		if (bounds->list[i] == partition)
			return true;
	return !bounds->listed;
}
