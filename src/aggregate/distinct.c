/*
 * distinct.c - aggregate calls with DISTINCT: which can be had, and which of them share a side table.
 *
 * The values of a group that were seen stand in a side table, once each.  A batch adds those that are
 * new to it, and the call's partial result over just these is merged as any other's: rewrite_distinct.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "definition_parts.h"
#include "streamagg.h"

static bool
is_among(const char *name, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Functions to which a value says nothing when it comes again: DISTINCT changes nothing. */
static bool
ignores_repeats(Oid aggregate)
{
	static const char *const names[] = {"min",	   "max",	  "bool_and", "every",
										"bool_or", "bit_and", "bit_or",	  "range_agg"};

	return get_func_namespace(aggregate) == PG_CATALOG_NAMESPACE &&
		   is_among(get_func_name(aggregate), names, lengthof(names));
}

/* Functions whose result shows the order of the values, which PostgreSQL's DISTINCT sorts. */
static bool
shows_order(Oid aggregate)
{
	static const char *const names[] = {"array_agg", "json_agg", "jsonb_agg", "xmlagg"};

	return get_func_namespace(aggregate) == PG_CATALOG_NAMESPACE &&
		   is_among(get_func_name(aggregate), names, lengthof(names));
}

/* NULLs are not kept; PostgreSQL's own functions of one argument that are left ignore them. */
static bool
may_heed_nulls(Oid aggregate)
{
	HeapTuple tuple;
	bool strict;

	if (get_func_namespace(aggregate) == PG_CATALOG_NAMESPACE)
		return false;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate);
	strict = func_strict(((Form_pg_aggregate) GETSTRUCT(tuple))->aggtransfn);
	ReleaseSysCache(tuple);
	return !strict;
}

static void
refuse_call(const Aggref *aggref)
{
	const char *name = get_func_name(aggref->aggfnoid);
	Oid type = exprType(definition_argument(aggref));

	if (shows_order(aggref->aggfnoid))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a continuous aggregate cannot have %s(DISTINCT …)", name),
						errdetail("Its values would have to be sorted anew with each batch.")));
	if (may_heed_nulls(aggref->aggfnoid))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous aggregate cannot have %s(DISTINCT …)", name),
				 errdetail("Its transition function is not strict: NULL may be a value for it.")));
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a continuous aggregate cannot have DISTINCT values of type %s",
							   format_type_be(type)),
						errhint("Cast them to a type that a table can hold.")));
}

/* ---------------------------------------------------------------- side tables */

Node *
definition_argument(const Aggref *aggref)
{
	return (Node *) linitial_node(TargetEntry, aggref->args)->expr;
}

static bool
share_values(const Aggref *one, const Aggref *other)
{
	return equal(definition_argument(one), definition_argument(other)) &&
		   equal(one->aggfilter, other->aggfilter);
}

void
definition_number_sides(Definition *definition)
{
	for (int i = 0; i < definition->ncalls; i++)
	{
		Call *call = &definition->calls[i];

		if (call->aggref->aggdistinct == NIL || ignores_repeats(call->aggref->aggfnoid))
			continue;
		refuse_call(call->aggref);
		for (int j = 0; j < i && call->side == 0; j++)
			if (definition->calls[j].side &&
				share_values(call->aggref, definition->calls[j].aggref))
				call->side = definition->calls[j].side;
		if (call->side == 0)
			call->side = ++definition->nsides;
	}
}

/* Of the domain's base type, which NULL always fits. */
static Node *
plain_argument(const Aggref *aggref)
{
	Node *argument = definition_argument(aggref);
	int32 typmod = exprTypmod(argument);
	Oid base = getBaseTypeAndTypmod(exprType(argument), &typmod);

	if (base == exprType(argument))
		return argument;
	return (Node *) makeRelabelType((Expr *) argument, base, typmod, exprCollation(argument),
									COERCE_EXPLICIT_CAST);
}

/* The argument where the filter lets it in, NULL elsewhere. */
static Node *
filtered_argument(const Aggref *aggref)
{
	Node *argument = plain_argument(aggref);
	CaseExpr *filtered;
	CaseWhen *when;

	if (aggref->aggfilter == NULL)
		return argument;
	when = makeNode(CaseWhen);
	when->expr = aggref->aggfilter;
	when->result = (Expr *) argument;
	when->location = -1;
	filtered = makeNode(CaseExpr);
	filtered->casetype = exprType(argument);
	filtered->casecollid = exprCollation(argument);
	filtered->args = list_make1(when);
	filtered->defresult =
		(Expr *) makeNullConst(exprType(argument), exprTypmod(argument), exprCollation(argument));
	filtered->location = -1;
	return (Node *) filtered;
}

/* A name for the column of the values that no key has. */
static char *
value_column(const Definition *definition)
{
	char *name = pstrdup("value");

	for (int i = 0; i < definition->nkeys; i++)
		if (definition->keys[i].column && strcmp(definition->keys[i].column, name) == 0)
		{
			name = psprintf("_%s", name);
			i = -1;
		}
	return name;
}

/* The keys, and the value as one more. */
static void
add_value_key(Definition *part, const Aggref *aggref)
{
	Key *keys = palloc(sizeof(Key) * (part->nkeys + 1));

	memcpy(keys, part->keys, sizeof(Key) * part->nkeys);
	keys[part->nkeys].expression = filtered_argument(aggref);
	keys[part->nkeys].column = value_column(part);
	part->keys = keys;
	part->nkeys++;
}

Definition *
definition_part(const Definition *definition, int side)
{
	Definition *part = palloc(sizeof(Definition));
	const Aggref *aggref = NULL;

	*part = *definition;
	part->ncalls = 0;
	part->calls = palloc(sizeof(Call) * Max(definition->ncalls, 1));
	for (int i = 0; i < definition->ncalls; i++)
	{
		if (definition->calls[i].side != side)
			continue;
		if (side == 0)
			part->calls[part->ncalls++] = definition->calls[i];
		else
			aggref = definition->calls[i].aggref;
	}
	if (aggref)
		add_value_key(part, aggref);
	return part;
}
