/*
 * rules.c - reads streamagg.merge_rules.  Which aggregates can be merged, and how, is data.
 *
 * What has no row there may still have a combine function (rule_combine.c).
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

#include "catalog.h"
#include "rules.h"
#include "streamagg.h"

/* The rule under the function's own text, which nearly every rule is stored under. */
static CatalogStatement find_by_text = {
	"SELECT r.partials, r.merges, r.final, r.parts, NULL::text FROM streamagg.merge_rules r"
	" WHERE r.aggregate = $2 AND r.extension IS NULL"
	" AND pg_catalog.to_regprocedure(r.aggregate) = $1::pg_catalog.regprocedure",
	2,
	{OIDOID, TEXTOID},
	NULL};

/*
 * Under any other: of an extension, or quoted otherwise.  The name is looked for first, quoted or not:
 * that is cheaper than to look a signature up.
 */
static CatalogStatement find_rule = {
	"SELECT r.partials, r.merges, r.final, r.parts, p.place FROM streamagg.merge_rules r"
	" LEFT JOIN (pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = "
	"e.extnamespace)"
	" ON e.extname = r.extension, LATERAL (SELECT CASE WHEN r.extension IS NOT NULL"
	" THEN pg_catalog.quote_ident(n.nspname) || '.' END) AS p (place)"
	" WHERE pg_catalog.strpos(r.aggregate, pg_catalog.replace($2, '\"', '\"\"')) > 0 AND "
	"pg_catalog.to_regprocedure(CASE"
	" WHEN r.extension IS NULL THEN r.aggregate"
	" ELSE pg_catalog.replace(r.aggregate, '@', p.place) END) = $1::pg_catalog.regprocedure",
	2,
	{OIDOID, TEXTOID},
	NULL};

/* A template of an extension's rule has @ for its schema; palloc'd. */
static char *
with_place(const char *template, const char *place)
{
	StringInfoData text;

	if (place == NULL)
		return pstrdup(template);
	initStringInfo(&text);
	for (const char *at = template; *at; at++)
		if (*at == '@')
			appendStringInfoString(&text, place);
		else
			appendStringInfoChar(&text, *at);
	return text.data;
}

/* A text array of the result; NULL for a NULL. */
static char **
strings(int column, int *count, const char *place)
{
	List *list = catalog_text_list(0, column, CurrentMemoryContext);
	char **found = list ? palloc(sizeof(char *) * list_length(list)) : NULL;
	ListCell *cell;

	*count = 0;
	foreach (cell, list)
		found[(*count)++] = with_place(lfirst(cell), place);
	return found;
}

/* As the script has PostgreSQL's own, and create_merge_rule() stores all others; with the safe search_path. */
static char *
stored_text(Oid aggregate)
{
	if (get_func_namespace(aggregate) == PG_CATALOG_NAMESPACE)
		return psprintf("pg_catalog.%s", format_procedure(aggregate));
	return format_procedure_qualified(aggregate);
}

/* The rule is in the result of SPI. */
static bool
find(Oid aggregate)
{
	Datum arguments[2] = {ObjectIdGetDatum(aggregate), CStringGetTextDatum(stored_text(aggregate))};

	if (catalog_run(&find_by_text, arguments, NULL) > 0)
		return true;
	arguments[1] = CStringGetTextDatum(get_func_name(aggregate));
	return catalog_run(&find_rule, arguments, NULL) > 0;
}

Rule *
rules_read(Oid aggregate)
{
	MemoryContext context = CurrentMemoryContext;
	Rule *rule = NULL;
	CatalogScope scope;

	catalog_enter(&scope);
	if (find(aggregate))
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		const char *place = catalog_string(0, 5);
		int parts;

		rule = palloc0(sizeof(Rule));
		rule->partials = strings(1, &rule->count, place);
		rule->merges = strings(2, &rule->count, place);
		rule->final = with_place(catalog_string(0, 3), place);
		rule->parts = strings(4, &parts, NULL);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	return rule;
}

Rule *
rules_find(const Aggref *aggref)
{
	const char *why = NULL;
	Rule *rule = rules_read(aggref->aggfnoid);
	const Advice *advice;

	if (rule)
		return rule;
	advice = rules_advice(aggref->aggfnoid);
	if (advice == NULL)
		rule = rules_combine(aggref, &why);
	if (rule)
		return rule;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("aggregate function %s has no merge rule", format_procedure(aggref->aggfnoid)),
			 errdetail("%s", advice ? advice->reason : why),
			 errhint("%s", advice ? advice->hint
								  : "Functions with one are listed in streamagg.merge_rules; "
									"streamagg.create_merge_rule() adds one.")));
}

char *
rules_apply(const char *template, const char *const *arguments, int count)
{
	StringInfoData text;

	initStringInfo(&text);
	for (const char *at = template; *at;)
	{
		char *end;
		unsigned long number = 0;

		if (at[0] == '$' && at[1] >= '1' && at[1] <= '9')
			number = strtoul(at + 1, &end, 10);
		if (number < 1 || number > (unsigned long) count)
			appendStringInfoChar(&text, *at++);
		else
		{
			appendStringInfoString(&text, arguments[number - 1]);
			at = end;
		}
	}
	return text.data;
}
