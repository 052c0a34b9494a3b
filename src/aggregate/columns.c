/*
 * columns.c - which columns of its stream a query reads.
 *
 * From the query, not from a plan: a plan may change, and what it needs with it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"

#include "compat.h"
#include "definition.h"

typedef struct ColumnsContext
{
	Index stream;
	int level; /* of subqueries */
	Bitmapset *columns;
} ColumnsContext;

static bool
note_columns(Node *node, void *argument)
{
	ColumnsContext *context = argument;
	bool found;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if ((int) var->varlevelsup != context->level || var->varno != (int) context->stream)
			return false;
		context->columns = var->varattno > 0
							   ? bms_add_member(context->columns, var->varattno)
							   : bms_add_range(context->columns, 1, MaxHeapAttributeNumber);
		return false;
	}
	if (!IsA(node, Query))
		return expression_tree_walker(node, note_columns, argument);
	context->level++;
	found = query_tree_walker((Query *) node, note_columns, argument, QTW_IGNORE_JOINALIASES);
	context->level--;
	return found;
}

Bitmapset *
definition_columns(const Definition *definition)
{
	Query *query = copyObject(definition->query);
	ColumnsContext context = {definition->stream_index, 0, NULL};

	/* columns of a join by their names in it: what they are in its sides */
	query->targetList = (List *) compat_flatten_join_alias_vars(query, (Node *) query->targetList);
	query->havingQual = compat_flatten_join_alias_vars(query, query->havingQual);
	query->jointree = (FromExpr *) compat_flatten_join_alias_vars(query, (Node *) query->jointree);
	query_tree_walker(query, note_columns, &context, QTW_IGNORE_JOINALIASES);
	return context.columns;
}
