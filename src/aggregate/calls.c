/*
 * calls.c - the aggregate function calls of a query, each with its merge rule.  Called by analyze.c.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"

#include "definition_parts.h"
#include "rules.h"
#include "streamagg.h"

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
	definition->calls = definition->calls == NULL
							? palloc(sizeof(Call))
							: repalloc(definition->calls, sizeof(Call) * (definition->ncalls + 1));
	call = &definition->calls[definition->ncalls++];
	memset(call, 0, sizeof(Call));
	call->aggref = aggref;
	call->rule = rules_find(aggref);
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

void
definition_load_calls(Definition *definition)
{
	ListCell *cell;

	(void) collect_calls((Node *) definition->query->targetList, definition);
	(void) collect_calls(definition->query->havingQual, definition);
	definition_number_sides(definition);
	foreach (cell, definition->query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);
		Call *call =
			IsA(target->expr, Aggref) ? find_call(definition, (Aggref *) target->expr) : NULL;

		if (call && call->output == NULL)
			call->output = target->resname;
	}
}
