/*
 * source_replace.c - an aggregate's analysed query with other rows in place of its stream.
 *
 * Every reference to a column of the stream stays as it is: the rows have the same columns in the same
 * places.  Only a reference to the whole row becomes one to all columns.  Called by source.c.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "source.h"
#include "streamagg.h"

typedef struct Replacement
{
	Oid stream;
	Index index;
	Relation rel;
} Replacement;

/* A whole row of the stream, of its columns. */
static Node *
row_of_columns(const Replacement *replacement)
{
	TupleDesc desc = RelationGetDescr(replacement->rel);
	RowExpr *row = makeNode(RowExpr);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Node *value = (Node *) makeNullConst(INT4OID, -1, InvalidOid);

		if (!att->attisdropped)
			value = (Node *) makeVar(replacement->index, i + 1, att->atttypid, att->atttypmod,
									 att->attcollation, 0);
		row->args = lappend(row->args, value);
		row->colnames = lappend(row->colnames, makeString(pstrdup(NameStr(att->attname))));
	}
	row->row_typeid = get_rel_type_id(replacement->stream);
	row->row_format = COERCE_EXPLICIT_CAST;
	row->location = -1;
	return (Node *) row;
}

static Node *
replace_whole_rows(Node *node, void *argument)
{
	const Replacement *replacement = argument;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varno == (int) replacement->index &&
		((Var *) node)->varattno == 0)
		return row_of_columns(replacement);
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, replace_whole_rows, argument, 0);
	return expression_tree_mutator(node, replace_whole_rows, argument);
}

static void
replace_entry(RangeTblEntry *entry, const Replacement *replacement, const char *rows)
{
	Query *subquery = definition_parse(rows);
	ListCell *cell;

	if (entry->alias == NULL)
		entry->alias = makeAlias(get_rel_name(replacement->stream), NIL);
	entry->rtekind = RTE_SUBQUERY;
	entry->subquery = subquery;
	entry->relid = InvalidOid;
	entry->relkind = 0;
	entry->inh = false;
	entry->eref->colnames = NIL;
	foreach (cell, subquery->targetList)
		entry->eref->colnames = lappend(
			entry->eref->colnames, makeString(pstrdup(lfirst_node(TargetEntry, cell)->resname)));
}

Definition *
source_replace_stream(const Source *source, const char *rows)
{
	Definition *definition = palloc(sizeof(Definition));
	Replacement replacement = {source->stream, source->definition->stream_index,
							   relation_open(source->stream, AccessShareLock)};

	*definition = *source->definition;
	definition->keys = palloc(sizeof(Key) * Max(definition->nkeys, 1));
	for (int i = 0; i < definition->nkeys; i++)
	{
		definition->keys[i] = source->definition->keys[i];
		definition->keys[i].expression =
			replace_whole_rows(definition->keys[i].expression, &replacement);
	}
	definition->calls = palloc(sizeof(Call) * Max(definition->ncalls, 1));
	for (int i = 0; i < definition->ncalls; i++)
	{
		definition->calls[i] = source->definition->calls[i];
		definition->calls[i].aggref =
			(Aggref *) replace_whole_rows((Node *) definition->calls[i].aggref, &replacement);
	}
	definition->query =
		castNode(Query, replace_whole_rows((Node *) source->definition->query, &replacement));
	replace_entry(rt_fetch(replacement.index, definition->query->rtable), &replacement, rows);
	relation_close(replacement.rel, NoLock);
	return definition;
}
