/*
 * rewrite_distinct.c - calls with DISTINCT to SQL: their side tables, and what a batch does with them.
 *
 *   WITH n (_k1, _k2) AS (
 *     INSERT INTO side AS d (key, value)
 *     SELECT DISTINCT i._k1, i._k2 FROM (SELECT … AS _k1, … AS _k2 FROM stream … WHERE … OFFSET 0) i
 *     WHERE true AND i._k2 IS DISTINCT FROM NULL ORDER BY 1, 2
 *     ON CONFLICT (key, value) DO NOTHING RETURNING d.key, d.value)
 *   INSERT INTO state AS s (key, c, updated_at)
 *   SELECT n._k1, count(n._k2), now() FROM n GROUP BY 1 ORDER BY 1
 *   ON CONFLICT (key) DO UPDATE SET c = s.c + excluded.c, updated_at = excluded.updated_at
 *
 * The groups are there already: the upsert of the other calls ran before.  OFFSET 0 keeps the condition
 * outside, so that the value is computed for rows only that pass WHERE and joins, as the query does it.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"

#include "rewrite_parts.h"
#include "rules.h"
#include "streamagg.h"

/* "prefix_k1 COLLATE …, …" of the first count keys. */
static char *
numbered(const Definition *part, const char *prefix, int count, bool collate)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < count; i++)
	{
		bool by_bytes = collate && rewrite_groups_by_bytes(part->keys[i].expression);

		appendStringInfo(&list, "%s%s_k%d%s", i ? ", " : "", prefix, i + 1,
						 by_bytes ? REWRITE_BY_BYTES : "");
	}
	return list.data;
}

/* The batch's values, each once a group; NULLs are none. */
static char *
values_select(const Definition *part, const char *select, const char *source)
{
	return psprintf("%s %s FROM %s AND i._k%d IS DISTINCT FROM NULL ORDER BY %s", select,
					numbered(part, "i.", part->nkeys, true), source, part->nkeys,
					rewrite_key_numbers(part));
}

static char *
values_insert(const Definition *part, const char *side, const char *select)
{
	const char *columns = rewrite_key_list(part);
	StringInfoData returned;

	initStringInfo(&returned);
	for (int i = 0; i < part->nkeys; i++)
		appendStringInfo(&returned, "%sd.%s", i ? ", " : "",
						 quote_identifier(part->keys[i].column));
	return psprintf("WITH n (%s) AS (INSERT INTO %s AS d (%s) %s ON CONFLICT (%s) DO NOTHING "
					"RETURNING %s)",
					numbered(part, "", part->nkeys, false), side, columns, select, columns,
					returned.data);
}

/* What the new values add to the groups. */
static char *
groups_insert(const Definition *definition, int side, const Definition *part, const char *state)
{
	const char *value = psprintf("n._k%d", part->nkeys);
	const char *keys = definition->nkeys ? rewrite_key_numbers(definition) : NULL;
	StringInfoData columns;
	StringInfoData partials;

	initStringInfo(&columns);
	initStringInfo(&partials);
	for (int i = 0; i < definition->ncalls; i++)
	{
		const Call *call = &definition->calls[i];

		for (int j = 0; call->side == side && j < call->rule->count; j++)
		{
			appendStringInfo(&columns, ", %s", quote_identifier(call->columns[j]));
			appendStringInfo(&partials, ", %s", rules_apply(call->rule->partials[j], &value, 1));
		}
	}
	return psprintf(
		"INSERT INTO %s AS s (%s%s, updated_at) SELECT %s%s, pg_catalog.now() FROM n %s", state,
		rewrite_key_list(definition), columns.data,
		keys ? numbered(part, "n.", definition->nkeys, false) : "0::smallint", partials.data,
		keys ? psprintf("GROUP BY %s ORDER BY %s", keys, keys) : "HAVING pg_catalog.count(*) > 0");
}

Upsert *
rewrite_distinct_from(const Definition *definition, int side, const char *state, const char *source)
{
	const Definition *part = definition_part(definition, side);
	Upsert *upsert = palloc0(sizeof(Upsert));
	char *select = values_select(part, "SELECT DISTINCT", source);

	upsert->keys = rewrite_key_list(definition);
	upsert->insert = psprintf("%s %s", values_insert(part, definition->sides[side - 1], select),
							  groups_insert(definition, side, part, state));
	for (int i = 0; i < definition->ncalls; i++)
		if (definition->calls[i].side == side)
			upsert->merges = rewrite_add_merges(upsert->merges, &definition->calls[i]);
	return upsert;
}

Upsert *
rewrite_distinct(const Definition *definition, int side, const char *state, bool grouped)
{
	const Definition *part = definition_part(definition, side);
	const char *rows = rewrite_rows(part);
	const char *condition = part->condition ? part->condition : "true";
	Upsert *upsert = rewrite_distinct_from(definition, side, state,
										   psprintf("(%s OFFSET 0) i WHERE %s", rows, condition));
	char *select;

	upsert->rows = psprintf("SELECT i.* FROM %s", rewrite_pairs(part));
	if (!grouped)
		return upsert;
	select = values_select(
		part, "SELECT",
		psprintf("streamagg.batch_groups() i (%s) WHERE true", rewrite_group_columns(part)));
	upsert->groups = psprintf("%s %s", values_insert(part, definition->sides[side - 1], select),
							  groups_insert(definition, side, part, state));
	return upsert;
}

/*
 * Texts stand in it under "C" where that says the same, since it is only asked what is there.  The window
 * comes first, as in the state.
 */
char *
rewrite_create_side(const Definition *definition, int side)
{
	const Definition *part = definition_part(definition, side);
	Query *rows = definition_parse(rewrite_rows(part));
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", definition->sides[side - 1]);
	for (int i = 0; i < part->nkeys; i++)
	{
		const char *column = part->keys[i].column;
		TargetEntry *target = list_nth_node(TargetEntry, rows->targetList, i);

		if (rewrite_groups_by_bytes(part->keys[i].expression))
			appendStringInfo(&sql, "%s %s" REWRITE_BY_BYTES ", ", quote_identifier(column),
							 rewrite_type_of((Node *) target->expr));
		else
			rewrite_append_column(&sql, column, target);
	}
	appendStringInfo(&sql, "UNIQUE NULLS NOT DISTINCT (%s))", rewrite_key_list(part));
	return sql.data;
}

char *
rewrite_no_values(const Call *call, int partial)
{
	const char *type = rewrite_type_of(definition_argument(call->aggref));
	const char *value = "i._v";

	return psprintf("SELECT %s FROM (SELECT NULL::%s AS _v) i WHERE false",
					rules_apply(call->rule->partials[partial], &value, 1), type);
}
