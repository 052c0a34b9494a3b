/*
 * drop.c - the end of aggregates: drop_aggregate(), and what DROP of a stream or of the extension
 * leaves behind; with the functions that read an aggregate's standing.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "define.h"
#include "partition.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_drop_aggregate);
PG_FUNCTION_INFO_V1(streamagg_closed_until);
PG_FUNCTION_INFO_V1(streamagg_count_groups);

#define SMALL_TABLE_PAGES 1000

static CatalogStatement find_aggregate = {
	"SELECT state_table FROM streamagg.aggregate_catalog WHERE aggregate = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement forget_aggregate = {
	"WITH d AS (DELETE FROM streamagg.aggregate_catalog WHERE aggregate = $1"
	" RETURNING state_table, definition),"
	" p AS (DELETE FROM streamagg.aggregate_progress"
	" WHERE state_table IN (SELECT state_table FROM d)),"
	" b AS (DELETE FROM streamagg.backfill_log WHERE aggregate = $1),"
	" h AS (DELETE FROM streamagg.close_hook WHERE aggregate = $1),"
	" q AS (DELETE FROM streamagg.close_queue WHERE aggregate = $1),"
	" s AS (DELETE FROM streamagg.side_tables"
	" WHERE state_table IN (SELECT state_table FROM d) RETURNING side_table),"
	" e AS (DELETE FROM streamagg.expired_partitions WHERE parent IN (SELECT state_table FROM d)"
	" OR parent IN (SELECT side_table FROM s))"
	" SELECT state_table FROM d UNION ALL SELECT side_table FROM s"
	" UNION ALL SELECT definition FROM d WHERE definition IS NOT NULL",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement freeze_aggregates = {
	"WITH f AS (UPDATE streamagg.aggregate_catalog a SET stream = NULL, definition = NULL,"
	" frozen = coalesce((SELECT closing FROM streamagg.stream_progress p WHERE p.stream = $1),"
	" '-infinity') WHERE stream = $1 RETURNING aggregate),"
	" h AS (DELETE FROM streamagg.close_hook WHERE aggregate IN (SELECT aggregate FROM f)),"
	" q AS (DELETE FROM streamagg.close_queue WHERE aggregate IN (SELECT aggregate FROM f))"
	" SELECT aggregate FROM f",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement freeze_undefined = {
	"WITH f AS (UPDATE streamagg.aggregate_catalog a SET stream = NULL, definition = NULL,"
	" frozen = coalesce((SELECT closing FROM streamagg.stream_progress p"
	" WHERE p.stream = a.stream), '-infinity')"
	" WHERE definition IS NOT NULL"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = a.definition)"
	" RETURNING aggregate),"
	" h AS (DELETE FROM streamagg.close_hook WHERE aggregate IN (SELECT aggregate FROM f)),"
	" q AS (DELETE FROM streamagg.close_queue WHERE aggregate IN (SELECT aggregate FROM f))"
	" SELECT aggregate FROM f",
	0,
	{InvalidOid},
	NULL};

static CatalogStatement read_closing = {
	"SELECT coalesce(a.frozen, p.closing, '-infinity') FROM streamagg.aggregate_catalog a"
	" LEFT JOIN streamagg.stream_progress p ON p.stream = a.stream WHERE a.state_table = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement find_state = {
	"SELECT FROM streamagg.aggregate_catalog WHERE state_table = $1", 1, {REGCLASSOID}, NULL};

static CatalogStatement count_aggregates = {
	"SELECT pg_catalog.count(*)::int FROM streamagg.aggregate_catalog WHERE stream = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement all_aggregates = {
	"SELECT state_table, aggregate, 'the' FROM streamagg.aggregate_catalog UNION ALL"
	" SELECT s.side_table, a.aggregate, 'part of the' FROM streamagg.side_tables s"
	" JOIN streamagg.aggregate_catalog a ON a.state_table = s.state_table ORDER BY 2, 1",
	0,
	{InvalidOid},
	NULL};

/* ---------------------------------------------------------------- drop_aggregate */

static bool
is_aggregate(Oid view)
{
	Datum value = ObjectIdGetDatum(view);

	return catalog_execute(&find_aggregate, &value, NULL) > 0;
}

/* streamagg.drop_aggregate(aggregate): DROP VIEW under a name that is easier to find. */
Datum
streamagg_drop_aggregate(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);
	Oid user;
	int security;

	PreventCommandDuringRecovery("drop_aggregate()");
	if (!is_aggregate(view))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a continuous aggregate", stream_name(view)),
						errhint("The view streamagg.aggregates lists them.")));
	if (!has_privs_of_role(GetUserId(), stream_owner(view)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of the owner of aggregate \"%s\"", get_rel_name(view))));
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(stream_owner(view), security | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute(psprintf("DROP VIEW %s", stream_name(view)), false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not drop the view");
	SPI_finish();
	SetUserIdAndSecContext(user, security);
	PG_RETURN_VOID();
}

/* Where the ties to the view were lost by a dump, its parts are still there. */
static void
drop_part(Oid part)
{
	ObjectAddress object;

	if (get_rel_name(part) == NULL)
		return;
	ObjectAddressSet(object, RelationRelationId, part);
	performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

void
define_forget_aggregate(Oid view)
{
	Datum value = ObjectIdGetDatum(view);
	ListCell *cell;

	foreach (cell, catalog_list_oids(&forget_aggregate, &value))
		drop_part(lfirst_oid(cell));
}

static void
freeze(CatalogStatement *statement, const Datum *values, const char *what)
{
	CatalogScope scope;
	uint64 rows;

	catalog_enter(&scope);
	rows = catalog_run(statement, values, NULL);
	for (uint64 i = 0; i < rows; i++)
		ereport(NOTICE, (errmsg("aggregate %s stays as it is now: its %s was dropped",
								catalog_string(i, 1), what)));
	catalog_leave(&scope);
}

void
define_freeze_aggregates(Oid stream)
{
	Datum value = ObjectIdGetDatum(stream);

	freeze(&freeze_aggregates, &value, "stream");
}

void
define_freeze_undefined(void)
{
	freeze(&freeze_undefined, NULL, "definition");
}

/* The views go with the extension, whose function they call; the tables are the users'. */
void
define_keep_states(void)
{
	CatalogScope scope;
	uint64 rows;
	bool isnull;

	catalog_enter(&scope);
	rows = catalog_run(&all_aggregates, NULL, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		Oid state = DatumGetObjectId(catalog_value(i, 1, &isnull));

		deleteDependencyRecordsForClass(RelationRelationId, state, RelationRelationId,
										DEPENDENCY_INTERNAL);
		ereport(NOTICE, (errmsg("table %s stays, no longer written", stream_name(state)),
						 errdetail("It is %s state of aggregate %s.", catalog_string(i, 3),
								   catalog_string(i, 2))));
	}
	catalog_leave(&scope);
	CommandCounterIncrement();
}

int
define_count(Oid stream)
{
	Datum value = ObjectIdGetDatum(stream);
	CatalogScope scope;
	bool isnull;
	int count;

	catalog_enter(&scope);
	catalog_run(&count_aggregates, &value, NULL);
	count = DatumGetInt32(catalog_value(0, 1, &isnull));
	catalog_leave(&scope);
	return count;
}

/* ---------------------------------------------------------------- standing */

/*
 * streamagg.closed_until(state_table): in the snapshot of the query that calls it, so that is_final
 * fits the rows beside it.
 */
Datum
streamagg_closed_until(PG_FUNCTION_ARGS)
{
	Datum value = PG_GETARG_DATUM(0);
	TimestampTz found = DT_NOBEGIN;
	CatalogScope scope;
	bool isnull;

	catalog_enter(&scope);
	if (catalog_read(&read_closing, &value) > 0)
		found = DatumGetTimestampTz(catalog_value(0, 1, &isnull));
	catalog_leave(&scope);
	PG_RETURN_TIMESTAMPTZ(found);
}

/* Nothing of the table's owner's runs, as a statement would have it: the caller may be anybody. */
static int64
scan_rows(Relation rel)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	int64 found = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		found++;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/* Rows of a plain table; a large one is not read where the planner has an estimate. */
static int64
count_rows(Oid table)
{
	Relation rel = try_relation_open(table, AccessShareLock);
	int64 found = 0;

	if (rel == NULL)
		return 0;
	if (rel->rd_rel->relkind == RELKIND_RELATION)
	{
		found = (int64) rel->rd_rel->reltuples;
		if (found < 0 || RelationGetNumberOfBlocks(rel) <= SMALL_TABLE_PAGES)
			found = scan_rows(rel);
	}
	relation_close(rel, AccessShareLock);
	return found;
}

static bool
is_state(Oid table)
{
	Datum value = ObjectIdGetDatum(table);
	CatalogScope scope;
	bool found;

	catalog_enter(&scope);
	found = catalog_read(&find_state, &value) > 0;
	catalog_leave(&scope);
	return found;
}

/* streamagg.count_groups(state_table); NULL for what is no state table. */
Datum
streamagg_count_groups(PG_FUNCTION_ARGS)
{
	Oid state = PG_GETARG_OID(0);
	Relation rel = is_state(state) ? try_relation_open(state, AccessShareLock) : NULL;
	List *tables = list_make1_oid(state);
	int64 found = 0;
	ListCell *cell;

	if (rel == NULL)
		PG_RETURN_NULL();
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		tables = partition_before(state, DT_NOEND);
	foreach (cell, tables)
		found += count_rows(lfirst_oid(cell));
	relation_close(rel, AccessShareLock);
	PG_RETURN_INT64(found);
}
