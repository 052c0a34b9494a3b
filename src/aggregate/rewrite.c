/*
 * rewrite.c - an aggregate's query to SQL: the upsert of a batch, the state table, the view.
 *
 * There is no deparser here.  The parts of the query that must be kept, its FROM and WHERE with the
 * expressions that keys and aggregates read, become an inner SELECT, and the view's expressions an
 * outer one; PostgreSQL prints both (pg_get_querydef), and the text between is made of column names
 * and of the merge rules' templates.  The planner pulls the inner SELECT up, so it costs nothing.
 *
 *   INSERT INTO state AS s (key, n, updated_at)
 *   SELECT i._k1, count(*), now() FROM (SELECT … AS _k1 FROM stream … WHERE …) i
 *   GROUP BY 1 ORDER BY 1
 *   ON CONFLICT (key) DO UPDATE SET n = s.n + excluded.n, updated_at = excluded.updated_at
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "group_steps.h"
#include "rewrite_parts.h"
#include "rules.h"
#include "streamagg.h"

/* The qualified name of an expression's type, with its parameters. */
char *
rewrite_type_of(const Node *expression)
{
	return format_type_extended(exprType(expression), exprTypmod(expression),
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/* ---------------------------------------------------------------- the inner SELECT */

void
rewrite_add_target(List **targets, Node *expression, char *name)
{
	TargetEntry *target =
		makeTargetEntry(copyObject((Expr *) expression), list_length(*targets) + 1, name, false);

	*targets = lappend(*targets, target);
}

/* The column of the inner SELECT that holds an argument of a call. */
static char *
argument_name(int call, int argument)
{
	return argument == 1 ? psprintf("_a%d", call) : psprintf("_a%d_%d", call, argument);
}

char **
rewrite_arguments(const Call *call, int number)
{
	int count = list_length(call->aggref->args);
	char **arguments = palloc(sizeof(char *) * Max(count, 1));

	for (int i = 0; i < count; i++)
		arguments[i] = psprintf("i.%s", argument_name(number, i + 1));
	return arguments;
}

Query *
rewrite_inner(const Definition *definition)
{
	Query *inner = copyObject(definition->query);
	ListCell *cell;

	inner->targetList = NIL;
	for (int i = 0; i < definition->nkeys; i++)
		rewrite_add_target(&inner->targetList, definition->keys[i].expression,
						   psprintf("_k%d", i + 1));
	for (int i = 0; i < definition->ncalls; i++)
	{
		const Aggref *aggref = definition->calls[i].aggref;
		ListCell *cell;

		foreach (cell, aggref->args)
		{
			Node *argument = (Node *) lfirst_node(TargetEntry, cell)->expr;

			rewrite_add_target(&inner->targetList, definition_filtered_argument(aggref, argument),
							   argument_name(i + 1, foreach_current_index(cell) + 1));
		}
		if (aggref->aggfilter)
			rewrite_add_target(&inner->targetList, (Node *) aggref->aggfilter,
							   psprintf("_f%d", i + 1));
	}
	foreach (cell, definition->carried)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		rewrite_add_target(&inner->targetList, (Node *) target->expr, target->resname);
	}
	inner->groupClause = NIL;
	inner->havingQual = NULL;
	inner->hasAggs = false;
	return inner;
}

char *
rewrite_rows(const Definition *definition)
{
	return pg_get_querydef(rewrite_inner(definition), false);
}

char *
rewrite_pairs(const Definition *definition)
{
	const char *rows = rewrite_rows(definition);

	if (definition->condition == NULL)
		return psprintf("(%s) i", rows);
	return psprintf("(%s) i WHERE %s", rows, definition->condition);
}

char *
rewrite_pair_end(const Definition *definition, int64 plus)
{
	if (definition->nwindow == 1)
		return window_end_sql(&definition->window, "i._k1", plus);
	return window_shift_sql("i._k2", plus);
}

static void
append_partials(StringInfo sql, const Call *call, int number)
{
	const char *const *arguments = (const char *const *) rewrite_arguments(call, number);
	int count = list_length(call->aggref->args);

	for (int i = 0; i < call->rule->count; i++)
	{
		appendStringInfo(sql, "%s%s", sql->len > 0 ? ", " : "",
						 rules_apply(call->rule->partials[i], arguments, count));
		if (call->aggref->aggfilter)
			appendStringInfo(sql, " FILTER (WHERE i._f%d)", number);
	}
}

/*
 * Texts are grouped and sorted by their bytes, which is cheaper and says the same wherever equal texts
 * are equal bytes: under every collation but the nondeterministic ones.
 */
bool
rewrite_groups_by_bytes(const Node *key)
{
	switch (getBaseType(exprType(key)))
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return group_steps_texts_are_bytes(key);
		default:
			return false;
	}
}

const char *
rewrite_by_bytes(const Node *key)
{
	return rewrite_groups_by_bytes(key) ? REWRITE_BY_BYTES : "";
}

/* The numbers of the key columns, which come first. */
char *
rewrite_key_numbers(const Definition *definition)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 1; i <= definition->nkeys; i++)
		appendStringInfo(&list, "%s%d", i > 1 ? ", " : "", i);
	return list.data;
}

/* Keys, then partial results, in the order of the state columns; rows is a FROM of i. */
static char *
partial_select(const Definition *definition, const char *rows, bool for_upsert)
{
	const char *keys = rewrite_key_numbers(definition);
	StringInfoData targets;

	initStringInfo(&targets);
	for (int i = 1; i <= definition->nkeys; i++)
	{
		bool by_bytes = for_upsert && rewrite_groups_by_bytes(definition->keys[i - 1].expression);

		appendStringInfo(&targets, "%si._k%d%s", i > 1 ? ", " : "", i,
						 by_bytes ? REWRITE_BY_BYTES : "");
	}
	if (definition->nkeys == 0)
		appendStringInfoString(&targets, "0::smallint");
	for (int i = 0; i < definition->ncalls; i++)
		append_partials(&targets, &definition->calls[i], i + 1);
	appendStringInfo(&targets, ", pg_catalog.now() FROM %s", rows);
	if (definition->nkeys > 0)
		appendStringInfo(&targets, " GROUP BY %s ORDER BY %s", keys, keys);
	else
		appendStringInfoString(&targets, " HAVING true"); /* one group, without a call, too */
	return psprintf("SELECT %s", targets.data);
}

/* ---------------------------------------------------------------- the upsert */

/* The key columns, quoted, separated by commas. */
char *
rewrite_key_list(const Definition *definition)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < definition->nkeys; i++)
		appendStringInfo(&list, "%s%s", i ? ", " : "",
						 quote_identifier(definition->keys[i].column));
	if (definition->nkeys == 0)
		appendStringInfoString(&list, REWRITE_SINGLE_KEY);
	return list.data;
}

char *
rewrite_if_known(const Call *call, const char *alias, char *value)
{
	if (call->known == NULL)
		return value;
	return psprintf("CASE WHEN %s.%s THEN %s END", alias, call->known, value);
}

/* "column = merged value" for each stored value of a call. */
List *
rewrite_add_merges(List *merges, const Call *call)
{
	for (int i = 0; i < call->rule->count; i++)
	{
		const char *column = quote_identifier(call->columns[i]);
		const char *sides[2] = {psprintf("s.%s", column), psprintf("excluded.%s", column)};
		StateMerge *merge = palloc(sizeof(StateMerge));

		merge->column = call->columns[i];
		merge->assignment =
			psprintf("%s = %s", column,
					 rewrite_if_known(call, "s",
									  rules_apply(call->rule->merges[i], sides, lengthof(sides))));
		merges = lappend(merges, merge);
	}
	return merges;
}

/* The columns of the groups that grouping.c made, for batch_groups(): keys, then states. */
char *
rewrite_group_columns(const Definition *definition)
{
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < definition->nkeys; i++)
	{
		Node *key = definition->keys[i].expression;

		appendStringInfo(&columns, "%s_k%d %s%s", i ? ", " : "", i + 1, rewrite_type_of(key),
						 OidIsValid(exprCollation(key)) ? REWRITE_BY_BYTES : "");
	}
	for (int i = 0; i < definition->ncalls; i++)
		appendStringInfo(&columns, ", _a%d %s", i + 1,
						 rewrite_type_of((Node *) definition->calls[i].aggref));
	return columns.data;
}

/* Those groups in the order of the state columns. */
static char *
group_select(const Definition *definition)
{
	return psprintf("SELECT g.*, pg_catalog.now() FROM streamagg.batch_groups() g (%s) ORDER BY %s",
					rewrite_group_columns(definition), rewrite_key_numbers(definition));
}

static char *
insert_into(const Definition *definition, const char *state)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s AS s (%s", state, rewrite_key_list(definition));
	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; j < definition->calls[i].rule->count; j++)
			appendStringInfo(&sql, ", %s", quote_identifier(definition->calls[i].columns[j]));
	appendStringInfoString(&sql, ", updated_at)");
	return sql.data;
}

/* The columns that tell groups apart. */
static char *
conflict_list(const Definition *definition)
{
	StringInfoData list;
	ListCell *cell;

	if (definition->window.kind != WINDOW_SESSION)
		return rewrite_key_list(definition);
	initStringInfo(&list);
	foreach (cell, rewrite_session_columns(definition))
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", quote_identifier(lfirst(cell)));
	return list.data;
}

/* The end of a session is a value that grows. */
static void
add_session_parts(Upsert *upsert, const Definition *definition, const char *state,
				  const char *insert)
{
	const char *column = quote_identifier(definition->keys[1].column);
	StateMerge *merge = palloc(sizeof(StateMerge));

	merge->column = definition->keys[1].column;
	merge->assignment = psprintf("%s = excluded.%s", column, column);
	upsert->merges = lappend(upsert->merges, merge);
	upsert->rows = rewrite_session_rows(definition);
	upsert->insert = psprintf(
		"%s\n%s", insert,
		partial_select(definition, psprintf("(%s) i", rewrite_session_batch(definition)), true));
	upsert->moves = psprintf(
		"%s RETURNING s.ctid",
		rewrite_upsert_sql(upsert, rewrite_session_moves(definition, state, insert), NULL));
}

Upsert *
rewrite_upsert(const Definition *whole, const char *state, bool grouped)
{
	const Definition *definition = definition_part(whole, 0);
	Upsert *upsert = palloc0(sizeof(Upsert));
	char *insert = insert_into(definition, state);

	upsert->keys = conflict_list(definition);
	for (int i = 0; i < definition->ncalls; i++)
		upsert->merges = rewrite_add_merges(upsert->merges, &definition->calls[i]);
	if (definition->window.kind == WINDOW_SESSION)
	{
		add_session_parts(upsert, definition, state, insert);
		return upsert;
	}
	upsert->insert =
		psprintf("%s\n%s", insert, partial_select(definition, rewrite_pairs(definition), true));
	upsert->rows = psprintf("SELECT i.* FROM %s", rewrite_pairs(definition));
	if (grouped)
		upsert->groups = psprintf("%s\n%s", insert, group_select(definition));
	return upsert;
}

char *
rewrite_fill(const Definition *whole, const char *state)
{
	const Definition *definition = definition_part(whole, 0);

	return psprintf("%s %s", insert_into(definition, state),
					partial_select(definition, rewrite_whole_rows(definition), true));
}

char *
rewrite_upsert_sql(const Upsert *upsert, const char *insert, const StateMerge *only)
{
	StringInfoData sql;
	ListCell *cell;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s\nON CONFLICT (%s) DO UPDATE SET ", insert, upsert->keys);
	foreach (cell, upsert->merges)
	{
		const StateMerge *merge = lfirst(cell);

		if (only == NULL || merge == only)
			appendStringInfo(&sql, "%s, ", merge->assignment);
	}
	appendStringInfoString(&sql, "updated_at = excluded.updated_at");
	return sql.data;
}

/* ---------------------------------------------------------------- the state table */

static void
append_column_type(StringInfo sql, const char *name, const TargetEntry *target)
{
	Node *expression = (Node *) target->expr;
	Oid collation = exprCollation(expression);

	appendStringInfo(sql, "%s %s", quote_identifier(name), rewrite_type_of(expression));
	if (OidIsValid(collation) && collation != get_typcollation(exprType(expression)))
		appendStringInfo(sql, " COLLATE %s", generate_collation_name(collation));
}

void
rewrite_append_column(StringInfo sql, const char *name, const TargetEntry *target)
{
	append_column_type(sql, name, target);
	appendStringInfoString(sql, ", ");
}

char *
rewrite_partitioning(const Definition *definition)
{
	return psprintf("PARTITION BY RANGE (%s)", quote_identifier(definition->keys[0].column));
}

/*
 * Half of each page is left free, so that updates of the states stay on their page (HOT).  One
 * unique key with NULLS NOT DISTINCT: NULL is a group; the window first, for time filters, but of
 * sessions the keys, by which they are found.  Partitions have their options of their own (retention.c).
 */
char *
rewrite_create_table(const Definition *definition, const char *state, bool partitioned)
{
	Query *partial = definition_parse(partial_select(definition, rewrite_pairs(definition), false));
	StringInfoData sql;
	int at = 0;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", state);
	for (int i = 0; i < definition->nkeys; i++)
		rewrite_append_column(&sql, definition->keys[i].column,
							  list_nth(partial->targetList, at++));
	if (definition->nkeys == 0)
		rewrite_append_column(&sql, REWRITE_SINGLE_KEY, list_nth(partial->targetList, at++));
	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; j < definition->calls[i].rule->count; j++)
			rewrite_append_column(&sql, definition->calls[i].columns[j],
								  list_nth(partial->targetList, at++));
	appendStringInfo(&sql, "updated_at timestamptz NOT NULL, UNIQUE NULLS NOT DISTINCT (%s)) %s",
					 conflict_list(definition),
					 partitioned ? rewrite_partitioning(definition) : "WITH (fillfactor = 50)");
	return sql.data;
}

List *
rewrite_new_columns(const Definition *definition)
{
	Query *partial = definition_parse(partial_select(definition, rewrite_pairs(definition), false));
	List *found = NIL;
	int at = Max(definition->nkeys, 1);

	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; j < definition->calls[i].rule->count; j++, at++)
		{
			StringInfoData sql;

			if (!definition->calls[i].is_new)
				continue;
			initStringInfo(&sql);
			append_column_type(&sql, definition->calls[i].columns[j],
							   list_nth(partial->targetList, at));
			found = lappend(found, sql.data);
		}
	return found;
}
