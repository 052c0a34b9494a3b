/*
 * names.c - names for the columns of an aggregate's state table.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "definition.h"
#include "rules.h"
#include "streamagg.h"

static bool
is_taken(List *taken, const char *name)
{
	ListCell *cell;

	foreach (cell, taken)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

/* So many bytes of the name, in whole characters. */
static char *
cut(const char *name, int length)
{
	return pnstrdup(name, pg_mbcliplen(name, strlen(name), length));
}

/* The name, cut to fit, or with a number behind it when it is taken. */
static char *
claim(List **taken, const char *name)
{
	char *found = cut(name, NAMEDATALEN - 1);

	for (int i = 2; is_taken(*taken, found); i++)
		found = psprintf("%s_%d", cut(name, NAMEDATALEN - 8), i);
	*taken = lappend(*taken, found);
	return found;
}

static const char *
output_of_key(const Definition *definition, const Key *key)
{
	ListCell *cell;

	foreach (cell, definition->query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk && equal(target->expr, key->expression))
			return target->resname;
	}
	return NULL;
}

/* What a value of several is called. */
static const char *
part(const Rule *rule, int number)
{
	return rule->parts ? rule->parts[number] : psprintf("%d", number + 1);
}

static void
name_call(Call *call, List **taken, int *number)
{
	call->columns = palloc(sizeof(char *) * call->rule->count);
	for (int i = 0; i < call->rule->count; i++)
	{
		const char *name;

		if (call->output && call->rule->count == 1)
			name = call->output;
		else if (call->output)
			name = psprintf("%s__%s", cut(call->output, NAMEDATALEN - 16), part(call->rule, i));
		else
			name = psprintf("_s%d", ++*number);
		call->columns[i] = claim(taken, name);
	}
}

/* Names that the state table has already: its own, and the system columns'. */
static List *
reserved_names(const Definition *definition)
{
	static char *const names[] = {"updated_at", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"};
	List *taken = NIL;

	for (size_t i = 0; i < lengthof(names); i++)
		taken = lappend(taken, names[i]);
	if (definition->nkeys == 0)
		taken = lappend(taken, "_k1"); /* the one group's, see rewrite.c */
	return taken;
}

void
definition_name_columns(Definition *definition)
{
	List *taken = reserved_names(definition);
	int number = 0;

	for (int i = 0; i < definition->nkeys; i++)
	{
		const char *output = output_of_key(definition, &definition->keys[i]);

		definition->keys[i].column = claim(&taken, output ? output : psprintf("_k%d", i + 1));
	}
	for (int i = 0; i < definition->ncalls; i++)
		name_call(&definition->calls[i], &taken, &number);
}

void
definition_name_new_calls(Definition *definition, List *taken)
{
	int number = list_length(taken);

	taken = list_concat(reserved_names(definition), taken);
	for (int i = 0; i < definition->ncalls; i++)
		if (definition->calls[i].is_new)
			name_call(&definition->calls[i], &taken, &number);
}

List *
definition_known_columns(const Definition *definition)
{
	List *found = NIL;

	for (int i = 0; i < definition->ncalls; i++)
		if (definition->calls[i].known && !is_taken(found, definition->calls[i].known))
			found = lappend(found, definition->calls[i].known);
	return found;
}

void
definition_set_columns(Definition *definition, List *keys, List *states, List *knowns)
{
	int at = 0;

	if (list_length(keys) != definition->nkeys)
		elog(ERROR, "the definition has %d keys, the state table %d", definition->nkeys,
			 list_length(keys));
	for (int i = 0; i < definition->nkeys; i++)
		definition->keys[i].column = list_nth(keys, i);
	for (int i = 0; i < definition->ncalls; i++)
	{
		Call *call = &definition->calls[i];

		call->columns = palloc(sizeof(char *) * call->rule->count);
		if (at < list_length(knowns) && *(char *) list_nth(knowns, at) != '\0')
			call->known = list_nth(knowns, at);
		for (int j = 0; j < call->rule->count; j++)
			call->columns[j] = list_nth(states, at++);
	}
}
