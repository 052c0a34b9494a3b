/*
 * side.c - the tables that an aggregate keeps beside its state: streamagg.side_tables.
 *
 * So far one kind: the distinct values of a group, a table for each argument and filter of calls with
 * DISTINCT.  They are parts of the view as the state is: what happens to it happens to them.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "catalog.h"
#include "rewrite.h"
#include "rules.h"
#include "side.h"
#include "stream.h"
#include "streamagg.h"

static CatalogStatement insert_side = {
	"INSERT INTO streamagg.side_tables (side_table, state_table, kind, number)"
	" SELECT $1, $2, 'distinct', $3",
	3,
	{REGCLASSOID, REGCLASSOID, INT4OID},
	NULL};

static CatalogStatement find_sides = {
	"SELECT side_table FROM streamagg.side_tables WHERE state_table = $1 AND kind = 'distinct'"
	" ORDER BY number",
	1,
	{REGCLASSOID},
	NULL};

char *
side_suffix(int number)
{
	return number == 1 ? pstrdup("_distinct") : psprintf("_distinct_%d", number);
}

/* ---------------------------------------------------------------- making */

/* What the result is before there is a value: the state's new groups begin with it. */
static void
set_default(const Request *request, const Call *call, int partial)
{
	const char *literal;

	if (SPI_execute(psprintf("SELECT pg_catalog.quote_literal((%s)::text)",
							 rewrite_no_values(call, partial)),
					true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not compute a default");
	literal = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (literal)
		define_run(psprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s",
							define_name(request, "_state"),
							quote_identifier(call->columns[partial]), literal));
}

static Oid
side_oid(const Request *request, int number)
{
	const char *name = define_name(request, side_suffix(number));

	return DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(name)));
}

void
side_make(Request *request)
{
	Definition *definition = request->definition;

	definition->sides = palloc(sizeof(char *) * Max(definition->nsides, 1));
	for (int i = 0; i < definition->nsides; i++)
	{
		char *name = define_name(request, side_suffix(i + 1));

		definition->sides[i] = name;
		define_run(rewrite_create_side(definition, i + 1));
		define_run(psprintf("COMMENT ON TABLE %s IS 'Distinct values of a continuous aggregate: "
							"written by its stream.'",
							name));
	}
	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; definition->calls[i].side && j < definition->calls[i].rule->count; j++)
			set_default(request, &definition->calls[i], j);
}

void
side_tie(const Request *request)
{
	for (int i = 1; i <= request->definition->nsides; i++)
	{
		Datum values[3] = {ObjectIdGetDatum(side_oid(request, i)), ObjectIdGetDatum(request->state),
						   Int32GetDatum(i)};
		ObjectAddress side;
		ObjectAddress view;

		ObjectAddressSet(side, RelationRelationId, DatumGetObjectId(values[0]));
		ObjectAddressSet(view, RelationRelationId, request->view);
		recordDependencyOn(&side, &view, DEPENDENCY_INTERNAL);
		define_revoke_from_others(side.objectId);
		catalog_execute(&insert_side, values, NULL);
	}
}

/* ---------------------------------------------------------------- finding */

List *
side_tables(Oid state)
{
	Datum value = ObjectIdGetDatum(state);

	return catalog_list_oids(&find_sides, &value);
}

void
side_load(Definition *definition, Oid state)
{
	List *tables = definition->nsides ? side_tables(state) : NIL;
	ListCell *cell;

	if (list_length(tables) != definition->nsides)
		elog(ERROR, "the definition has %d side tables, the catalogue %d", definition->nsides,
			 list_length(tables));
	definition->sides = palloc(sizeof(char *) * Max(definition->nsides, 1));
	foreach (cell, tables)
		definition->sides[foreach_current_index(cell)] = stream_name(lfirst_oid(cell));
}
