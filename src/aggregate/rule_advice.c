/*
 * rule_advice.c - why PostgreSQL's other aggregate functions have no rule, and what to do instead.
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "utils/lsyscache.h"

#include "rules.h"

#define IN_ORDER "Its result depends on the order of the rows and grows with each of them."
#define ALL_VALUES "It needs all values at once."
#define ANY_ORDER "Its result depends on the order of the rows."

/* Of functions of this name, or that it and an underscore begin, such as json_agg_strict. */
static const Advice advices[] = {
	{"array_agg", IN_ORDER,
	 "Group by the value, too, and call array_agg in a query over the view."},
	{"string_agg", IN_ORDER,
	 "Group by the value, too, and call string_agg in a query over the view."},
	{"json_agg", IN_ORDER, "Group by the value, too, and call json_agg in a query over the view."},
	{"jsonb_agg", IN_ORDER,
	 "Group by the value, too, and call jsonb_agg in a query over the view."},
	{"json_object_agg", IN_ORDER,
	 "Group by the key, too, with max() of the value, and call json_object_agg in a query over the "
	 "view."},
	{"jsonb_object_agg", IN_ORDER,
	 "Group by the key, too, with max() of the value, and call jsonb_object_agg in a query over "
	 "the "
	 "view."},
	{"xmlagg", IN_ORDER,
	 "Group by the text that the elements are made of, and call xmlagg in a query over the view."},
	{"any_value", ANY_ORDER, "Use min() or max(): which value they take is defined."},
	{"percentile_cont", ALL_VALUES,
	 "Count the rows in ranges of the value, as of width_bucket(), and find the percentile in a "
	 "query over the view."},
	{"percentile_disc", ALL_VALUES,
	 "Group by the value, too, with count(*), and find the percentile in a query over the view."},
	{"mode", ALL_VALUES,
	 "Group by the value, too, with count(*), and take the one with the highest count in a query "
	 "over the view."},
	{"rank", ALL_VALUES, "Count the rows before the value: count(*) FILTER (WHERE …) + 1."},
	{"dense_rank", ALL_VALUES,
	 "Group by the value, too, and count the groups before the value in a query over the view."},
	{"percent_rank", ALL_VALUES,
	 "Divide count(*) FILTER (WHERE …) of the rows before the value by count(*)."},
	{"cume_dist", ALL_VALUES,
	 "Divide count(*) FILTER (WHERE …) of the rows up to the value by count(*)."},
};

const Advice *
rules_advice(Oid aggregate)
{
	const char *name = get_func_name(aggregate);

	if (get_func_namespace(aggregate) != PG_CATALOG_NAMESPACE || name == NULL)
		return NULL;
	for (size_t i = 0; i < lengthof(advices); i++)
	{
		size_t length = strlen(advices[i].name);

		if (strncmp(advices[i].name, name, length) == 0 &&
			(name[length] == '\0' || name[length] == '_'))
			return &advices[i];
	}
	return NULL;
}
