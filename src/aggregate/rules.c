/*
 * rules.c - reads streamagg.merge_rules.  Which aggregates can be merged, and how, is data.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

#include "catalog.h"
#include "rules.h"
#include "streamagg.h"

static CatalogStatement find_rule = {
	"SELECT partials, merges, final FROM streamagg.merge_rules"
	" WHERE pg_catalog.to_regprocedure(aggregate) = $1::pg_catalog.regprocedure",
	1,
	{OIDOID},
	NULL};

/* A text array of the result as C strings in the context. */
static char **
strings(int column, int *count, MemoryContext context)
{
	List *list = catalog_text_list(0, column, context);
	char **found = MemoryContextAlloc(context, sizeof(char *) * Max(list_length(list), 1));
	ListCell *cell;

	*count = 0;
	foreach (cell, list)
		found[(*count)++] = lfirst(cell);
	return found;
}

Rule *
rules_find(Oid aggregate)
{
	MemoryContext context = CurrentMemoryContext;
	Rule *rule = palloc0(sizeof(Rule));
	Datum argument = ObjectIdGetDatum(aggregate);
	CatalogScope scope;

	catalog_enter(&scope);
	if (catalog_run(&find_rule, &argument, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate function %s has no merge rule", format_procedure(aggregate)),
				 errhint("Functions with one are listed in streamagg.merge_rules.")));
	rule->partials = strings(1, &rule->count, context);
	rule->merges = strings(2, &rule->count, context);
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
