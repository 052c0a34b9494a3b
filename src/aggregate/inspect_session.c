/*
 * inspect_session.c - what cannot stand in a query with session windows.  Called by analyze.c.
 *
 * Where a session begins and ends is known only when its rows are, so nothing that decides about rows or
 * groups may read it.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"

#include "definition_parts.h"
#include "streamagg.h"

static bool
reads_window(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (definition_is_window_column(context, node))
		return true;
	return expression_tree_walker(node, reads_window, context);
}

static void
refuse_reading(Definition *definition, Node *node, const char *where)
{
	if (reads_window(node, definition))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("start and end of a session cannot be read in %s", where),
						errdetail("They are known only when all rows of the session are."),
						errhint("Read them in the SELECT list, in HAVING, or in a query over the "
								"view.")));
}

void
definition_inspect_session(Definition *definition)
{
	if (definition->window.kind != WINDOW_SESSION)
		return;
	refuse_reading(definition, (Node *) definition->query->jointree, "WHERE or a join's condition");
	for (int i = definition->nwindow; i < definition->nkeys; i++)
		refuse_reading(definition, definition->keys[i].expression, "an expression of GROUP BY");
	for (int i = 0; i < definition->ncalls; i++)
	{
		const Aggref *aggref = definition->calls[i].aggref;

		refuse_reading(definition, (Node *) aggref, "an aggregate function");
		if (aggref->aggdistinct)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("DISTINCT in an aggregate function is not supported with sessions yet"),
					 errhint("Group by the value, too, or use a window of a fixed size.")));
	}
}
