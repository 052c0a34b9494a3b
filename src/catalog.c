/*
 * catalog.c - the door to the internal tables.
 *
 * They have no grants.  C code reads and writes them by fixed statements under the extension
 * owner's id, as referential integrity triggers do; no user expression runs meanwhile, and the
 * search_path is pinned, so that nobody's operators or tables are met.  On error the transaction's
 * abort restores user and settings.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "streamagg.h"

#define SAFE_PATH "pg_catalog, pg_temp"

typedef struct Extension
{
	Oid owner;
	char *version;
} Extension;

/* Our row of pg_extension, or false. */
static bool
read_extension(Extension *found)
{
	Relation rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(STREAMAGG_NAME));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		found->owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
		found->version = TextDatumGetCString(
			heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

static void
require_extension(Extension *found)
{
	if (!read_extension(found))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("extension \"streamagg\" is not installed in this database")));
}

bool
catalog_is_installed(void)
{
	Extension unused;

	return read_extension(&unused);
}

Oid
catalog_extension_owner(void)
{
	Extension extension;

	require_extension(&extension);
	pfree(extension.version); /* callers may loop */
	return extension.owner;
}

const char *
catalog_extension_version(void)
{
	Extension extension;

	require_extension(&extension);
	return extension.version;
}

const char *
catalog_version_problem(void)
{
	const char *script = catalog_extension_version();

	if (strcmp(script, STREAMAGG_LIBRARY_VERSION) == 0)
		return NULL;
	return psprintf("streamagg's library is version %s, its SQL objects are version %s",
					STREAMAGG_LIBRARY_VERSION, script);
}

void
catalog_check_version(void)
{
	const char *problem = catalog_version_problem();

	if (problem)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", problem),
						errhint("Restart the server after an upgrade of the library, then run "
								"ALTER EXTENSION streamagg UPDATE.")));
}

void
catalog_pin_search_path(void)
{
	(void) set_config_option("search_path", SAFE_PATH, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

void
catalog_enter(CatalogScope *scope)
{
	Oid owner = catalog_extension_owner();

	GetUserIdAndSecContext(&scope->user, &scope->security);
	scope->guc_level = 0;
	if (strcmp(namespace_search_path, SAFE_PATH) != 0)
	{
		scope->guc_level = NewGUCNestLevel();
		catalog_pin_search_path();
	}
	SetUserIdAndSecContext(owner, scope->security | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
catalog_leave(const CatalogScope *scope)
{
	SPI_finish();
	SetUserIdAndSecContext(scope->user, scope->security);
	if (scope->guc_level)
		AtEOXact_GUC(true, scope->guc_level);
}

static uint64
run(CatalogStatement *statement, const Datum *values, const char *nulls, bool read_only)
{
	int result;

	if (statement->plan == NULL)
	{
		/* generic: what stands in a plan, auto_explain writes into the log, keys and records too */
		statement->plan = SPI_prepare_cursor(statement->sql, statement->nargs, statement->types,
											 CURSOR_OPT_GENERIC_PLAN);
		if (statement->plan == NULL || SPI_keepplan(statement->plan) != 0)
			elog(ERROR, "could not prepare \"%s\"", statement->sql);
	}
	result = SPI_execute_plan(statement->plan, (Datum *) values, nulls, read_only, 0);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", statement->sql, SPI_result_code_string(result));
	return SPI_processed;
}

uint64
catalog_run(CatalogStatement *statement, const Datum *values, const char *nulls)
{
	return run(statement, values, nulls, false);
}

uint64
catalog_read(CatalogStatement *statement, const Datum *values)
{
	return run(statement, values, NULL, true);
}

uint64
catalog_execute(CatalogStatement *statement, const Datum *values, const char *nulls)
{
	CatalogScope scope;
	uint64 processed;

	catalog_enter(&scope);
	processed = catalog_run(statement, values, nulls);
	catalog_leave(&scope);
	return processed;
}

List *
catalog_list_oids(CatalogStatement *statement, const Datum *values)
{
	MemoryContext context = CurrentMemoryContext;
	List *found = NIL;
	CatalogScope scope;
	uint64 rows;
	bool isnull;

	catalog_enter(&scope);
	rows = catalog_run(statement, values, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		Oid oid = DatumGetObjectId(catalog_value(i, 1, &isnull));
		MemoryContext old = MemoryContextSwitchTo(context);

		found = lappend_oid(found, oid);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	return found;
}

Oid
catalog_find_oid(CatalogStatement *statement, const Datum *values)
{
	List *found = catalog_list_oids(statement, values);

	return found == NIL ? InvalidOid : linitial_oid(found);
}

Datum
catalog_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

char *
catalog_string(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

Interval *
catalog_interval(uint64 row, int column)
{
	bool isnull;
	Datum value = catalog_value(row, column, &isnull);
	Interval *copy;

	if (isnull)
		return NULL;
	copy = palloc(sizeof(Interval));
	*copy = *DatumGetIntervalP(value);
	return copy;
}

List *
catalog_text_list(uint64 row, int column, MemoryContext context)
{
	bool isnull;
	Datum array = catalog_value(row, column, &isnull);
	MemoryContext old;
	Datum *elements;
	int count;
	List *found = NIL;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &count);
	old = MemoryContextSwitchTo(context);
	for (int i = 0; i < count; i++)
		found = lappend(found, TextDatumGetCString(elements[i]));
	MemoryContextSwitchTo(old);
	return found;
}

Datum
catalog_array(const Datum *values, const bool *isnull, int length, Oid element)
{
	int16 typlen;
	bool typbyval;
	char typalign;
	int dims[1] = {length};
	int lower[1] = {1};

	if (length == 0)
		return PointerGetDatum(construct_empty_array(element));
	get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_md_array((Datum *) values, (bool *) isnull, 1, dims, lower,
											  element, typlen, typbyval, typalign));
}
