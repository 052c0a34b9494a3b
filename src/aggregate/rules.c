/*
 * rules.c - reads streamagg.merge_rules.  Which aggregates can be merged, and how, is data.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

#include "catalog.h"
#include "rules.h"

static CatalogStatement find_rule = {
	"SELECT partials, merges, final FROM streamagg.merge_rules"
	" WHERE pg_catalog.to_regprocedure(aggregate) = $1::pg_catalog.regprocedure",
	1,
	{OIDOID},
	NULL};

/* The elements of a text array as C strings in a context. */
static char **
text_array(Datum array, int *count, MemoryContext context)
{
	Datum *elements;
	char **found;
	MemoryContext old;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  count);
	old = MemoryContextSwitchTo(context);
	found = palloc(sizeof(char *) * *count);
	for (int i = 0; i < *count; i++)
		found[i] = TextDatumGetCString(elements[i]);
	MemoryContextSwitchTo(old);
	return found;
}

Rule *
rules_find(Oid aggregate)
{
	MemoryContext context = CurrentMemoryContext;
	Rule *rule = palloc0(sizeof(Rule));
	Datum argument = ObjectIdGetDatum(aggregate);
	CatalogScope scope;
	bool isnull;

	catalog_enter(&scope);
	if (catalog_run(&find_rule, &argument, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate function %s has no merge rule", format_procedure(aggregate)),
				 errhint("Functions with one are listed in streamagg.merge_rules.")));
	rule->partials = text_array(catalog_value(0, 1, &isnull), &rule->count, context);
	rule->merges = text_array(catalog_value(0, 2, &isnull), &rule->count, context);
	rule->final = MemoryContextStrdup(context, catalog_string(0, 3));
	catalog_leave(&scope);
	return rule;
}

char *
rules_apply(const char *template, const char *const *arguments, int count)
{
	StringInfoData text;

	initStringInfo(&text);
	for (const char *at = template; *at; at++)
	{
		int number = at[0] == '$' ? at[1] - '0' : 0;

		if (number < 1 || number > count)
		{
			appendStringInfoChar(&text, *at);
			continue;
		}
		appendStringInfoString(&text, arguments[number - 1]);
		at++;
	}
	return text.data;
}
