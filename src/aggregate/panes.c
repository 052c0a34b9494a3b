/*
 * panes.c - hop and cumulate windows by the panes that they are made of.
 *
 * All events of a pane fall in the same windows, so rows are grouped by it, once each, and grouping.c
 * adds a pane's group to its windows.  That is right as long as nothing but the keys of the group
 * depends on which of the windows it is.  Everything else is grouped by pairs of row and window, which
 * the function in FROM makes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"

#include "panes.h"
#include "streamagg.h"
#include "window_query.h"
#include "window_run.h"

/* streamagg.tumble(ts, pane) in place of the call. */
static FuncExpr *
tumble_call(const Definition *definition, Node *call)
{
	Oid types[] = {TIMESTAMPTZOID, INTERVALOID, TIMESTAMPTZOID};
	List *name = list_make2(makeString(STREAMAGG_NAME), makeString("tumble"));
	Window pane = window_pane(&definition->window);
	FuncExpr *folded = castNode(FuncExpr, eval_const_expressions(NULL, copyObject(call)));
	List *arguments = list_make3(linitial(folded->args), window_interval_constant(pane.size),
								 window_time_constant(pane.origin));
	FuncExpr *found = makeFuncExpr(LookupFuncName(name, lengthof(types), types, false), RECORDOID,
								   arguments, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);

	found->funcretset = true;
	return found;
}

Definition *
panes_definition(const Definition *definition)
{
	Definition *panes;
	RangeTblFunction *function;

	if (!window_is_multiple(&definition->window) || !window_is_key_only(definition))
		return NULL;
	panes = palloc(sizeof(Definition));
	*panes = *definition;
	panes->carried = NIL; /* its rows are judged before */
	panes->condition = NULL;
	panes->query = copyObject(definition->query);
	function = linitial_node(RangeTblFunction,
							 rt_fetch(panes->window_index, panes->query->rtable)->functions);
	function->funcexpr = (Node *) tumble_call(definition, function->funcexpr);
	panes->keys = palloc(sizeof(Key) * definition->nkeys);
	memcpy(panes->keys, definition->keys, sizeof(Key) * definition->nkeys);
	for (int i = 1; i < definition->nwindow; i++)
		panes->keys[i].expression = panes->keys[0].expression;
	return panes;
}
