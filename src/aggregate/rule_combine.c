/*
 * rule_combine.c - the rule of an aggregate that needs none: its own combine function merges.
 *
 * Where an aggregate has no final function, what it returns is its state, so the result of a batch can
 * be stored and combined as PostgreSQL combines the states of parallel workers.  A strict combine
 * function never meets NULL: the other side stays.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "rules.h"
#include "streamagg.h"

static char *
qualified_name(Oid function)
{
	return quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
									  get_func_name(function));
}

/* NULL when it fits. */
static const char *
reason_against(const FormData_pg_aggregate *form)
{
	if (OidIsValid(form->aggfinalfn))
		return "It has a final function, so that its result is not its state.";
	if (!OidIsValid(form->aggcombinefn))
		return "It has no combine function.";
	if (form->aggtranstype == INTERNALOID)
		return "Its state is of type internal, which cannot be stored.";
	if (func_volatile(form->aggtransfn) == PROVOLATILE_VOLATILE)
		return psprintf("Its state function %s is volatile.", format_procedure(form->aggtransfn));
	if (func_volatile(form->aggcombinefn) != PROVOLATILE_IMMUTABLE)
		return psprintf("Its combine function %s is not immutable.",
						format_procedure(form->aggcombinefn));
	return NULL;
}

/* The call over $1, $2 …, as a template. */
static char *
own_call(const Aggref *aggref)
{
	StringInfoData sql;
	int count = list_length(aggref->args);

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s(%s", qualified_name(aggref->aggfnoid), aggref->aggstar ? "*" : "");
	for (int i = 1; i <= count; i++)
		appendStringInfo(&sql, "%s%s$%d", i > 1 ? ", " : "",
						 i == count && aggref->aggvariadic ? "VARIADIC " : "", i);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* NULL as a datum: a row of NULLs is none. */
static char *
merge_by(Oid function)
{
	const char *name = qualified_name(function);

	if (!func_strict(function))
		return psprintf("%s($1, $2)", name);
	return psprintf("CASE WHEN $1 IS NOT DISTINCT FROM NULL THEN $2"
					" WHEN $2 IS NOT DISTINCT FROM NULL THEN $1 ELSE %s($1, $2) END",
					name);
}

Rule *
rules_combine(const Aggref *aggref, const char **why)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	FormData_pg_aggregate form;
	Rule *rule;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = *(Form_pg_aggregate) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);
	*why = reason_against(&form);
	if (*why)
		return NULL;
	rule = palloc0(sizeof(Rule));
	rule->count = 1;
	rule->partials = palloc(sizeof(char *));
	rule->merges = palloc(sizeof(char *));
	rule->partials[0] = own_call(aggref);
	rule->merges[0] = merge_by(form.aggcombinefn);
	rule->final = pstrdup("$1");
	return rule;
}
