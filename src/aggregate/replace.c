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
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_replace_aggregate);

#define BESIDE "_replacing"

static CatalogStatement read_old = {
	"SELECT state_table, definition, late, allowed_lateness, emit,"
	" retention FROM streamagg.aggregate_catalog WHERE aggregate = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement forget_old = {
	"WITH p AS (DELETE FROM streamagg.aggregate_progress WHERE state_table = $1)"
	" DELETE FROM streamagg.aggregate_catalog WHERE state_table = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement rename_new = {
	"UPDATE streamagg.aggregate_catalog SET aggregate = $2 WHERE aggregate = $1",
	2,
	{REGCLASSOID, REGCLASSOID},
	NULL};

typedef struct Old
{
	Oid view;
	Oid state;
	Oid query_view;
} Old;

/* ---------------------------------------------------------------- the old one */

/* What it is besides its query, it stays. */
static void
read_old_row(Old *old, Request *request)
{
	MemoryContext context = CurrentMemoryContext;
	Datum value = ObjectIdGetDatum(old->view);
	CatalogScope scope;
	MemoryContext inner;
	bool isnull;

	catalog_enter(&scope);
	(void) catalog_run(&read_old, &value, NULL);
	inner = MemoryContextSwitchTo(context);
	old->state = DatumGetObjectId(catalog_value(0, 1, &isnull));
	old->query_view = DatumGetObjectId(catalog_value(0, 2, &isnull));
	request->late = pstrdup(catalog_string(0, 3));
	request->lateness = palloc(sizeof(Interval));
	*request->lateness = *DatumGetIntervalP(catalog_value(0, 4, &isnull));
	request->emit = pstrdup(catalog_string(0, 5));
	request->length = catalog_interval(0, 6);
	MemoryContextSwitchTo(inner);
	catalog_leave(&scope);
}

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
	int length = pg_mbcliplen(name, strlen(name), NAMEDATALEN - 1 - (int) strlen("_state"));

	rename_part("TABLE", request->state, psprintf("%.*s_state", length, name));
	rename_part("VIEW", request->query_view, psprintf("%.*s_query", length, name));
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
	bool final = strcmp(request->emit, "final") == 0;
	const Definition *definition = new_definition(request);
	bool filters = final || definition->query->havingQual != NULL;
	Datum values[2] = {ObjectIdGetDatum(request->view), ObjectIdGetDatum(old->view)};
	Datum state = ObjectIdGetDatum(old->state);
	char *name = get_rel_name(old->view);

	define_run(psprintf("CREATE OR REPLACE VIEW %s %s AS %s", stream_name(old->view),
						filters ? "WITH (security_barrier)" : "",
						rewrite_view(definition, stream_name(request->state),
									 run_lateness(request->lateness), final)));
	retention_drop_rest(old->state);
	catalog_execute(&forget_old, &state, NULL);
	catalog_execute(&rename_new, values, NULL);
	changeDependencyFor(RelationRelationId, request->state, RelationRelationId, request->view,
						old->view);
	changeDependencyFor(RelationRelationId, request->query_view, RelationRelationId, request->view,
						old->view);
	deleteDependencyRecordsForClass(RelationRelationId, old->state, RelationRelationId,
									DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
	define_run(psprintf("DROP VIEW %s", stream_name(request->view)));
	define_run(psprintf("DROP VIEW %s", stream_name(old->query_view)));
	define_run(psprintf("DROP TABLE %s", stream_name(old->state)));
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
	char *name = get_rel_name(old->view);
	List *grants = read_grants(old->view, stream_name(old->view));
	ListCell *cell;

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
	read_old_row(old, request);
}

/*
 * streamagg.replace_aggregate(aggregate, query, backfill).  Late policy, allowed_lateness, emit and retention
 * stay; the settings of the definition are the caller's.  Errors: those of create_aggregate() and backfill();
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
