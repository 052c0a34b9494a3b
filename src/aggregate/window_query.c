/*
 * window_query.c - the window in an aggregate's analysed query: who reads it, and new arguments for it.
 *
 * Where only the grouping reads a window, another one may stand in its place: panes.c and coarser.c do so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "window_query.h"

static bool
find_window(Node *node, void *argument)
{
	const Definition *definition = argument;

	if (node == NULL)
		return false;
	if (equal(node, definition->window_keys[0]))
		return true;
	if (definition->window_index && IsA(node, Var) &&
		((Var *) node)->varno == (int) definition->window_index)
		return true;
	return expression_tree_walker(node, find_window, argument);
}

/* By its name, or by that of a join that it stands in. */
static bool
reads_window(const Definition *definition, Node *node)
{
	Node *flat = compat_flatten_join_alias_vars(definition->query, copyObject(node));

	return find_window(node, (void *) definition) || find_window(flat, (void *) definition);
}

bool
window_is_key_only(const Definition *definition)
{
	if (reads_window(definition, (Node *) definition->query->jointree))
		return false;
	for (int i = definition->nwindow; i < definition->nkeys; i++)
		if (reads_window(definition, definition->keys[i].expression))
			return false;
	for (int i = 0; i < definition->ncalls; i++)
		if (reads_window(definition, (Node *) definition->calls[i].aggref))
			return false;
	return true;
}

Const *
window_interval_constant(int64 microseconds)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = microseconds;
	return makeConst(INTERVALOID, -1, InvalidOid, sizeof(Interval), IntervalPGetDatum(interval),
					 false, false);
}

Const *
window_time_constant(TimestampTz time)
{
	return makeConst(TIMESTAMPTZOID, -1, InvalidOid, sizeof(TimestampTz), TimestampTzGetDatum(time),
					 false, FLOAT8PASSBYVAL);
}
