/*
 * replace.c - streamagg.replace_aggregate(): another query for an aggregate.
 *
 * The new aggregate is made beside the old one under a name of its own, filled from the archive behind
 * the stream's progress row, and exchanged in the same transaction.  Where the columns agree, the view
 * stays and gets the new definition, so that what depends on it lives.  Readers see the old groups
 * until the commit; the exchange waits for those who are reading, and they for it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "catalog.h"
#include "define.h"
#include "event.h"
#include "rewrite.h"
#include "run.h"
#include "side.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_replace_aggregate);

#define BESIDE "_replacing"

static CatalogStatement forget_old = {
	"WITH p AS (DELETE FROM streamagg.aggregate_progress WHERE state_table = $1),"
	" s AS (DELETE FROM streamagg.side_tables WHERE state_table = $1)"
	" DELETE FROM streamagg.aggregate_catalog WHERE state_table = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement rename_new = {
	"UPDATE streamagg.aggregate_catalog SET aggregate = $2 WHERE aggregate = $1",
	2,
	{REGCLASSOID, REGCLASSOID},
	NULL};

static CatalogStatement move_hook = {
	"WITH q AS (UPDATE streamagg.close_queue SET aggregate = $1 WHERE aggregate = $2)"
	" UPDATE streamagg.close_hook SET aggregate = $1 WHERE aggregate = $2",
	2,
	{REGCLASSOID, REGCLASSOID},
	NULL};

/* The one that is replaced. */
typedef struct Old
{
	Oid view;
	Oid state;
	Oid query_view;
} Old;

/* CREATE OR REPLACE VIEW asks for the same names, types and collations in the same places. */
static bool
columns_agree(Oid one, Oid other)
{
	Relation a = relation_open(one, AccessShareLock);
	Relation b = relation_open(other, AccessShareLock);
	bool agree = RelationGetNumberOfAttributes(a) == RelationGetNumberOfAttributes(b);

	for (int i = 0; agree && i < RelationGetNumberOfAttributes(a); i++)
	{
		Form_pg_attribute x = TupleDescAttr(RelationGetDescr(a), i);
		Form_pg_attribute y = TupleDescAttr(RelationGetDescr(b), i);

		agree = strcmp(NameStr(x->attname), NameStr(y->attname)) == 0 &&
				x->atttypid == y->atttypid && x->atttypmod == y->atttypmod &&
				x->attcollation == y->attcollation;
	}
	relation_close(a, NoLock);
	relation_close(b, NoLock);
	return agree;
}

/* ---------------------------------------------------------------- the exchange */

static void
rename_part(const char *kind, Oid part, const char *name)
{
	define_run(
		psprintf("ALTER %s %s RENAME TO %s", kind, stream_name(part), quote_identifier(name)));
}

/* The parts have the names that go with the view's. */
static void
rename_parts(const Request *request, const char *name)
{
	ListCell *cell;

	rename_part("TABLE", request->state, define_part_name(name, "_state"));
	rename_part("VIEW", request->query_view, define_part_name(name, "_query"));
	foreach (cell, side_tables(request->state))
		rename_part("TABLE", lfirst_oid(cell),
					define_part_name(name, side_suffix(foreach_current_index(cell) + 1)));
}

/* Those of a state belong to another view from now on, or with InvalidOid to none. */
static void
tie_sides(List *sides, Oid from, Oid to)
{
	ListCell *cell;

	foreach (cell, sides)
		if (OidIsValid(to))
			changeDependencyFor(RelationRelationId, lfirst_oid(cell), RelationRelationId, from, to);
		else
			deleteDependencyRecordsForClass(RelationRelationId, lfirst_oid(cell),
											RelationRelationId, DEPENDENCY_INTERNAL);
}

/* In a snapshot that sees what this command has made. */
static Definition *
new_definition(const Request *request)
{
	Definition *definition;

	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	definition = source_load(request->view)->definition;
	PopActiveSnapshot();
	return definition;
}

/* The view stays: it shows the new state, to which it belongs from now on. */
static void
exchange_beneath(const Old *old, const Request *request)
{
	Datum values[2] = {ObjectIdGetDatum(request->view), ObjectIdGetDatum(old->view)};
	Datum state = ObjectIdGetDatum(old->state);
	char *name = get_rel_name(old->view);
	List *sides = side_tables(old->state);
	ListCell *cell;

	define_view(request, psprintf("CREATE OR REPLACE VIEW %s", stream_name(old->view)),
				new_definition(request), stream_name(request->state));
	catalog_execute(&forget_old, &state, NULL);
	catalog_execute(&rename_new, values, NULL);
	changeDependencyFor(RelationRelationId, request->state, RelationRelationId, request->view,
						old->view);
	changeDependencyFor(RelationRelationId, request->query_view, RelationRelationId, request->view,
						old->view);
	deleteDependencyRecordsForClass(RelationRelationId, old->state, RelationRelationId,
									DEPENDENCY_INTERNAL);
	tie_sides(side_tables(request->state), request->view, old->view);
	tie_sides(sides, old->view, InvalidOid);
	CommandCounterIncrement();
	define_run(psprintf("DROP VIEW %s", stream_name(request->view)));
	define_run(psprintf("DROP VIEW %s", stream_name(old->query_view)));
	foreach (cell, lcons_oid(old->state, sides))
		define_run(psprintf("DROP TABLE %s", stream_name(lfirst_oid(cell))));
	rename_parts(request, name);
}

/* GRANT statements that give another view what the old one's readers have. */
static List *
read_grants(Oid view, const char *name)
{
	List *grants = NIL;

	if (SPI_execute(
			psprintf(
				"SELECT pg_catalog.format('GRANT %%s ON %%s TO %%s%%s', a.privilege_type, "
				"%s, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident("
				"pg_catalog.pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN "
				"' WITH GRANT OPTION' ELSE '' END) FROM pg_catalog.pg_class c, "
				"pg_catalog.aclexplode(c.relacl) a WHERE c.oid = %u AND a.grantee <> c.relowner",
				quote_literal_cstr(name), view),
			true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the grants");
	for (uint64 i = 0; i < SPI_processed; i++)
		grants = lappend(grants, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	return grants;
}

/* Another view under the old name: refused (2BP01) where something depends on the old one. */
static void
exchange_whole(const Old *old, const Request *request)
{
	Datum values[2] = {ObjectIdGetDatum(request->view), ObjectIdGetDatum(old->view)};
	char *name = get_rel_name(old->view);
	List *grants = read_grants(old->view, stream_name(old->view));
	ListCell *cell;

	catalog_execute(&move_hook, values, NULL);
	define_run(psprintf("DROP VIEW %s", stream_name(old->view)));
	rename_part("VIEW", request->view, name);
	rename_parts(request, name);
	foreach (cell, grants)
		define_run(lfirst(cell));
}

static Oid
exchange(const Old *old, const Request *request)
{
	bool beneath = columns_agree(old->view, request->view);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (beneath)
		exchange_beneath(old, request);
	else
		exchange_whole(old, request);
	SPI_finish();
	return beneath ? old->view : request->view;
}

/* ---------------------------------------------------------------- replace_aggregate */

static void
read_request(FunctionCallInfo fcinfo, Request *request, Old *old)
{
	int room = NAMEDATALEN - 1 - (int) strlen(BESIDE);
	Existing existing;
	const char *name;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument aggregate must not be null")));
	old->view = PG_GETARG_OID(0);
	request->query = define_text_argument(fcinfo, 1, "query");
	request->stream = source_stream(old->view);
	stream_require_owner(request->stream);
	if (define_stream(request->query) != request->stream)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the query of aggregate \"%s\" must be over its stream \"%s\"",
							   get_rel_name(old->view), get_rel_name(request->stream)),
						errhint("Make another aggregate with streamagg.create_aggregate().")));
	name = get_rel_name(old->view);
	request->schema = get_namespace_name(get_rel_namespace(old->view));
	request->name = psprintf("%.*s" BESIDE, pg_mbcliplen(name, strlen(name), room), name);
	define_take_settings(request);
	existing = define_take_policies(request, old->view);
	if (existing.is_rollup)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("\"%s\" is a rollup: its query cannot be replaced",
							   get_rel_name(old->view)),
						errhint("Drop it, and make a rollup of the other aggregate.")));
	old->state = existing.state;
	old->query_view = existing.query_view;
}

/*
 * streamagg.replace_aggregate(aggregate, query, backfill).  Late policy, allowed_lateness and emit stay;
 * the settings of the definition are the caller's.  Errors: those of create_aggregate() and backfill();
 * 22023 for a query over another stream, 2BP01 where something depends on columns that change.
 */
Datum
streamagg_replace_aggregate(PG_FUNCTION_ARGS)
{
	Request request = {0};
	Old old;
	OwnerScope scope;
	Oid user;
	int security;
	BackfillSource backfill;
	Oid view;

	streamagg_require_preload();
	PreventCommandDuringRecovery("replace_aggregate()");
	catalog_check_version();
	backfill = define_backfill_argument(fcinfo, 2);
	read_request(fcinfo, &request, &old);
	/* batches wait at this door, before they hold anything that is needed here; readers of views go on */
	LockRelationOid(request.stream, AccessExclusiveLock);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(stream_owner(request.stream),
						   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	define_build(&request);
	SetUserIdAndSecContext(user, security);
	run_enter_owner(request.stream, &scope);
	if (backfill != BACKFILL_NONE)
		(void) backfill_new(request.view, backfill);
	view = exchange(&old, &request);
	run_leave_owner(&scope);
	event_log(request.stream, "replace_aggregate", stream_name(view));
	CacheInvalidateRelcacheByRelid(request.stream);
	PG_RETURN_OID(view);
}
