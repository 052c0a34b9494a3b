/*
 * check.c - NOT NULL and CHECK constraints of the foreign table, as an INSERT would judge them.
 *
 * The planner believes the constraints of a table, so a row that breaks one must never reach an
 * aggregate.  CHECKs of one column come first, in the order of the columns, then those of several;
 * a CHECK that is NULL passes.  Not for soft rules.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "check.h"
#include "guard.h"
#include "memo.h"
#include "sqlstate.h"

typedef struct Rule
{
	char *name;
	Expr *expression;
	Bitmapset *columns; /* that it reads */
	AttrNumber column;	/* the only one of them; 0: none or several */
	ExprState *state;
	Memo *passed; /* values of the column that passed; NULL: the bytes of a value do not decide */
} Rule;

struct StreamCheck
{
	TupleDesc desc;
	int nrules;
	Rule *rules;
	int nrequired; /* columns that must not be NULL, by their place */
	int *required;
	MemoryContext context; /* of the batch */
	EState *estate;
	ExprContext *econtext;
	TupleTableSlot *slot;
	uint64 generation; /* of the guard when the state was made */
};

/* One evaluation, as a step of a guard. */
typedef struct Evaluation
{
	StreamCheck *check;
	const Rule *rule;
	bool passes;
} Evaluation;

/* The columns that an expression reads; a whole row is all of them. */
static Bitmapset *
columns_of(Node *expression, int natts)
{
	List *vars = pull_var_clause(expression, 0);
	Bitmapset *columns = NULL;
	ListCell *cell;

	foreach (cell, vars)
	{
		AttrNumber number = lfirst_node(Var, cell)->varattno;

		columns = number > 0 ? bms_add_member(columns, number) : bms_add_range(columns, 1, natts);
	}
	return columns;
}

static int
compare_rules(const void *left, const void *right)
{
	const Rule *a = left;
	const Rule *b = right;
	/* 0, several columns, sorts behind all others */
	int order = (int) (uint16) (a->column - 1) - (int) (uint16) (b->column - 1);

	return order ? order : strcmp(a->name, b->name);
}

/* What an immutable expression says of a column's value, it says of the same bytes again. */
static Memo *
memo_for(const StreamCheck *check, const Rule *rule)
{
	Form_pg_attribute attribute;

	if (rule->column <= 0 || contain_mutable_functions((Node *) rule->expression))
		return NULL;
	attribute = TupleDescAttr(check->desc, rule->column - 1);
	return memo_create(attribute->attlen, attribute->attbyval);
}

static bool
is_required(const Stream *stream, int i)
{
	return stream->columns[i].source != SOURCE_NONE &&
		   (stream->columns[i].not_null || i == stream->event_time - 1);
}

StreamCheck *
check_create(const Stream *stream, Relation rel)
{
	StreamCheck *check = palloc0(sizeof(StreamCheck));
	TupleConstr *constraints = RelationGetDescr(rel)->constr;

	check->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	check->nrules = constraints ? constraints->num_check : 0;
	check->rules = palloc0(sizeof(Rule) * Max(check->nrules, 1));
	check->required = palloc(sizeof(int) * Max(check->desc->natts, 1));
	for (int i = 0; i < stream->natts; i++)
		if (is_required(stream, i))
			check->required[check->nrequired++] = i;
	for (int i = 0; i < check->nrules; i++)
	{
		Rule *rule = &check->rules[i];

		rule->name = pstrdup(constraints->check[i].ccname);
		rule->expression = (Expr *) stringToNode(constraints->check[i].ccbin);
		rule->columns = columns_of((Node *) rule->expression, check->desc->natts);
		rule->column =
			bms_num_members(rule->columns) == 1 ? bms_singleton_member(rule->columns) : 0;
		rule->passed = memo_for(check, rule);
	}
	qsort(check->rules, check->nrules, sizeof(Rule), compare_rules);
	return check;
}

Bitmapset *
check_columns(const Stream *stream)
{
	Bitmapset *columns = NULL;

	for (int i = 0; i < stream->check->nrules; i++)
		columns = bms_add_members(columns, stream->check->rules[i].columns);
	return columns;
}

static void
make_state(StreamCheck *check)
{
	MemoryContext old = MemoryContextSwitchTo(check->context);

	check->estate = CreateExecutorState();
	check->econtext = GetPerTupleExprContext(check->estate);
	MemoryContextSwitchTo(check->estate->es_query_cxt);
	check->slot = MakeSingleTupleTableSlot(check->desc, &TTSOpsVirtual);
	for (int i = 0; i < check->nrules; i++)
		check->rules[i].state =
			ExecPrepareCheck(list_make1(copyObject(check->rules[i].expression)), check->estate);
	check->generation = guard_generation();
	MemoryContextSwitchTo(old);
}

/*
 * What a rolled-back guard held is gone, functions that were at work in it included: their memory
 * goes without their callbacks being run.
 */
static void
renew_state(StreamCheck *check)
{
	MemoryContextDelete(check->estate->es_query_cxt);
	make_state(check);
}

void
check_begin(Stream *stream)
{
	StreamCheck *check = stream->check;

	check->context = CurrentMemoryContext;
	/* a function that an expression calls may have been replaced */
	for (int i = 0; i < check->nrules; i++)
		if (check->rules[i].passed)
			memo_forget(check->rules[i].passed);
	make_state(check);
}

static CheckFault
check_not_null(const Stream *stream, const bool *isnull)
{
	const StreamCheck *check = stream->check;
	CheckFault fault = {0, NULL, NULL};

	for (int i = 0; i < check->nrequired; i++)
		if (isnull[check->required[i]])
		{
			fault.code = ERRCODE_NOT_NULL_VIOLATION;
			fault.column = stream->columns[check->required[i]].name;
			return fault;
		}
	return fault;
}

static void
evaluate(void *argument)
{
	Evaluation *evaluation = argument;

	evaluation->passes = ExecCheck(evaluation->rule->state, evaluation->check->econtext);
}

static void
point_slot(StreamCheck *check, Datum *values, bool *isnull)
{
	TupleTableSlot *slot = check->slot;

	slot->tts_values = values;
	slot->tts_isnull = isnull;
	slot->tts_nvalid = slot->tts_tupleDescriptor->natts;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
	check->econtext->ecxt_scantuple = slot;
}

/* 0, or the SQLSTATE of the rule's violation. */
static int
check_rule(StreamCheck *check, const Rule *rule, Datum *values, bool *isnull)
{
	Evaluation evaluation = {check, rule, false};
	Memo *memo = rule->column > 0 && !isnull[rule->column - 1] ? rule->passed : NULL;
	int code;

	if (memo && memo_has(memo, values[rule->column - 1]))
		return 0;
	if (check->generation != guard_generation())
		renew_state(check);
	point_slot(check, values, isnull);
	code = guard_try(evaluate, &evaluation, sqlstate_is_data);
	if (code)
		return code;
	ResetExprContext(check->econtext);
	if (!evaluation.passes)
		return ERRCODE_CHECK_VIOLATION;
	if (memo)
		memo_keep(memo, values[rule->column - 1]);
	return 0;
}

CheckFault
check_row(Stream *stream, Datum *values, bool *isnull)
{
	StreamCheck *check = stream->check;
	CheckFault fault = check_not_null(stream, isnull);

	for (int i = 0; i < check->nrules && fault.code == 0; i++)
	{
		const Rule *rule = &check->rules[i];

		fault.code = check_rule(check, rule, values, isnull);
		if (fault.code == 0)
			continue;
		fault.column = rule->column > 0 ? stream->columns[rule->column - 1].name : NULL;
		fault.rule = rule->name;
	}
	return fault;
}

List *
check_all(Stream *stream, Datum *values, bool *isnull, Bitmapset **columns)
{
	StreamCheck *check = stream->check;
	List *broken = NIL;

	for (int i = 0; i < check->nrequired; i++)
	{
		int column = check->required[i];

		if (!isnull[column])
			continue;
		broken = lappend(broken, psprintf("%s_not_null", stream->columns[column].name));
		*columns = bms_add_member(*columns, column + 1);
	}
	for (int i = 0; i < check->nrules; i++)
		if (check_rule(check, &check->rules[i], values, isnull))
		{
			broken = lappend(broken, check->rules[i].name);
			*columns = bms_add_members(*columns, check->rules[i].columns);
		}
	return broken;
}

void
check_end(Stream *stream)
{
	StreamCheck *check = stream->check;

	if (check->generation == guard_generation())
		FreeExecutorState(check->estate);
	else
		MemoryContextDelete(check->estate->es_query_cxt);
	check->estate = NULL;
}
