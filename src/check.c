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

typedef struct Rule
{
	char *name;
	Expr *expression;
	AttrNumber column; /* 0: none or several */
	ExprState *state;
} Rule;

struct StreamCheck
{
	TupleDesc desc;
	int nrules;
	Rule *rules;
	EState *estate;
	ExprContext *econtext;
	TupleTableSlot *slot;
};

/* The one column that an expression reads, or 0. */
static AttrNumber
single_column(Node *expression)
{
	List *vars = pull_var_clause(expression, 0);
	AttrNumber found = 0;
	ListCell *cell;

	foreach (cell, vars)
	{
		Var *var = lfirst_node(Var, cell);

		if (found != 0 && var->varattno != found)
			return 0;
		found = var->varattno;
	}
	return found;
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

StreamCheck *
check_create(const Stream *stream, Relation rel)
{
	StreamCheck *check = palloc0(sizeof(StreamCheck));
	TupleConstr *constraints = RelationGetDescr(rel)->constr;

	check->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	check->nrules = constraints ? constraints->num_check : 0;
	check->rules = palloc0(sizeof(Rule) * Max(check->nrules, 1));
	for (int i = 0; i < check->nrules; i++)
	{
		Rule *rule = &check->rules[i];

		rule->name = pstrdup(constraints->check[i].ccname);
		rule->expression = (Expr *) stringToNode(constraints->check[i].ccbin);
		rule->column = single_column((Node *) rule->expression);
	}
	qsort(check->rules, check->nrules, sizeof(Rule), compare_rules);
	return check;
}

void
check_begin(Stream *stream)
{
	StreamCheck *check = stream->check;
	MemoryContext old;

	check->estate = CreateExecutorState();
	check->econtext = GetPerTupleExprContext(check->estate);
	check->slot = MakeSingleTupleTableSlot(check->desc, &TTSOpsVirtual);
	old = MemoryContextSwitchTo(check->estate->es_query_cxt);
	for (int i = 0; i < check->nrules; i++)
		check->rules[i].state =
			ExecPrepareCheck(list_make1(copyObject(check->rules[i].expression)), check->estate);
	MemoryContextSwitchTo(old);
}

static CheckFault
check_not_null(Stream *stream, const bool *isnull)
{
	CheckFault fault = {0, NULL, NULL};

	for (int i = 0; i < stream->natts; i++)
		if (isnull[i] && stream->columns[i].source != SOURCE_NONE &&
			(stream->columns[i].not_null || i == stream->event_time - 1))
		{
			fault.code = ERRCODE_NOT_NULL_VIOLATION;
			fault.column = stream->columns[i].name;
			return fault;
		}
	return fault;
}

/*
 * The first rule that the row breaks: NOT NULL of all columns, the event time's included, then the
 * CHECKs.  Errors of a CHECK's own expression are raised.
 */
CheckFault
check_row(Stream *stream, Datum *values, bool *isnull)
{
	StreamCheck *check = stream->check;
	CheckFault fault = check_not_null(stream, isnull);
	TupleTableSlot *slot = check->slot;

	if (fault.code || check->nrules == 0)
		return fault;
	slot->tts_values = values;
	slot->tts_isnull = isnull;
	slot->tts_nvalid = slot->tts_tupleDescriptor->natts;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
	check->econtext->ecxt_scantuple = slot;
	for (int i = 0; i < check->nrules; i++)
	{
		Rule *rule = &check->rules[i];

		if (ExecCheck(rule->state, check->econtext))
			continue;
		fault.code = ERRCODE_CHECK_VIOLATION;
		fault.column = rule->column > 0 ? stream->columns[rule->column - 1].name : NULL;
		fault.rule = rule->name;
		break;
	}
	ResetExprContext(check->econtext);
	return fault;
}

void
check_end(Stream *stream)
{
	StreamCheck *check = stream->check;

	ExecDropSingleTupleTableSlot(check->slot);
	FreeExecutorState(check->estate);
	check->slot = NULL;
	check->estate = NULL;
}
