/*
 * group_steps.c - which queries grouping.c can do: keys whose equal values are equal bytes, and count,
 * sum, min and max without more.  All that is not on these lists goes to PostgreSQL's own aggregation.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "group_steps.h"
#include "rules.h"

bool
group_steps_texts_are_bytes(const Node *key)
{
	Oid collation = exprCollation(key);

	return OidIsValid(collation) && get_collation_isdeterministic(collation);
}

/* Whether two values of the type are equal just when their bytes are. */
static bool
equals_by_bytes(const Node *key)
{
	switch (getBaseType(exprType(key)))
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case UUIDOID:
		case BYTEAOID:
			return true;
		case TEXTOID:
		case VARCHAROID:
			return group_steps_texts_are_bytes(key);
		default:
			return false;
	}
}

/* Numbers that compare as their Datums do, of 2, 4 or 8 bytes. */
static bool
compares_as_integer(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return true;
		default:
			return false;
	}
}

static ValueType
value_type(Oid type)
{
	ValueType found = {type};

	get_typlenbyval(type, &found.length, &found.by_value);
	return found;
}

/* min and max of types without parameters: a strict function over two values, the first as it is. */
static bool
prepare_strict(Step *step, const Aggref *aggref, const char *name)
{
	HeapTuple tuple;
	Form_pg_aggregate form;
	bool isnull;
	bool fits;

	if (get_typtype(step->result.type) != TYPTYPE_BASE ||
		OidIsValid(get_element_type(step->result.type)))
		return false;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	(void) SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &isnull);
	fits = isnull && form->aggtranstype == step->result.type && !OidIsValid(form->aggfinalfn) &&
		   func_strict(form->aggtransfn);
	if (fits)
		fmgr_info(form->aggtransfn, &step->function);
	ReleaseSysCache(tuple);
	step->kind = STEP_STRICT;
	if (fits && compares_as_integer(step->result.type))
		step->kind = strcmp(name, "min") == 0 ? STEP_LEAST : STEP_GREATEST;
	return fits;
}

/* Whether the aggregate's partial result is that of the aggregate itself: rules are data. */
static bool
is_its_own_partial(const Call *call, const char *name)
{
	const char *arguments = call->aggref->args ? "$1" : "*";

	return get_func_namespace(call->aggref->aggfnoid) == PG_CATALOG_NAMESPACE &&
		   call->rule->count == 1 &&
		   strcmp(call->rule->partials[0], psprintf("pg_catalog.%s(%s)", name, arguments)) == 0;
}

/* False when the call is none of those that are done here. */
static bool
prepare_step(Step *step, const Call *call)
{
	const Aggref *aggref = call->aggref;
	const char *name = get_func_name(aggref->aggfnoid);

	if (!is_its_own_partial(call, name) || aggref->aggdistinct || aggref->aggorder ||
		list_length(aggref->args) > 1)
		return false;
	step->collation = aggref->inputcollid;
	step->result = value_type(aggref->aggtype);
	if (aggref->args)
		step->input = value_type(exprType((Node *) linitial_node(TargetEntry, aggref->args)->expr));
	if (strcmp(name, "count") == 0)
	{
		step->kind = STEP_COUNT;
		return true;
	}
	if (strcmp(name, "sum") == 0)
	{
		step->kind = STEP_SUM;
		return step->input.type == INT2OID || step->input.type == INT4OID;
	}
	return (strcmp(name, "min") == 0 || strcmp(name, "max") == 0) &&
		   prepare_strict(step, aggref, name);
}

bool
group_steps_prepare(const Definition *definition, ValueType *keys, Step *steps)
{
	int column = definition->nkeys; /* as rewrite.c's inner SELECT has them */

	for (int i = 0; i < definition->nkeys; i++)
	{
		if (!equals_by_bytes(definition->keys[i].expression))
			return false;
		keys[i] = value_type(exprType(definition->keys[i].expression));
	}
	for (int i = 0; i < definition->ncalls; i++)
	{
		const Aggref *aggref = definition->calls[i].aggref;

		if (!prepare_step(&steps[i], &definition->calls[i]))
			return false;
		steps[i].argument = aggref->args ? column++ : -1;
		steps[i].filter = aggref->aggfilter ? column++ : -1;
	}
	/* without keys there is a group without rows, too */
	return definition->nkeys > 0;
}
