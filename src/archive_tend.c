/*
 * archive_tend.c - the keeper's housekeeping of archives: tomorrow's day ahead, days past archive_keep
 * away.
 *
 * A day goes in three steps, each a transaction: it is noted, detached CONCURRENTLY, which blocks
 * neither readers nor batches, and dropped.  The note says where to go on after a crash.  The keeper
 * waits a moment for who reads the archive, and comes back with its next round: it has workers to
 * look after.  It runs no user's code: each step is the stream's owner's, over relations found anew.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "aggregate/run.h"
#include "archive.h"
#include "catalog.h"
#include "event.h"
#include "streamagg.h"
#include "worker/shared.h"

#define TEND_EVERY_MS 60000
#define PATIENCE "1s"

static CatalogStatement all_archives = {
	"SELECT a.stream FROM streamagg.archive_catalog a"
	" JOIN pg_catalog.pg_class c ON c.oid = a.stream AND c.relkind = 'f'",
	0,
	{InvalidOid},
	NULL};

static CatalogStatement note_expired = {
	"INSERT INTO streamagg.archive_expired (partition, archive) SELECT n, $2"
	" FROM unnest($1::regclass[]) AS n ON CONFLICT DO NOTHING",
	2,
	{REGCLASSARRAYOID, REGCLASSOID},
	NULL};

static CatalogStatement all_expired = {
	"SELECT partition, archive FROM streamagg.archive_expired ORDER BY 1", 0, {InvalidOid}, NULL};

static CatalogStatement forget_expired = {
	"DELETE FROM streamagg.archive_expired WHERE partition = $1", 1, {REGCLASSOID}, NULL};

/* ---------------------------------------------------------------- days */

/* The time before which days go; false: they stay for ever. */
static bool
expiry(Oid stream, TimestampTz *before)
{
	const char *keep = stream_option(stream, "archive_keep", NULL);
	int64 age;

	if (keep == NULL || !options_parse_duration(keep, &age))
		return false;
	*before = GetCurrentTimestamp() - age;
	return true;
}

static void
note_days(Oid stream, Oid archive)
{
	TimestampTz before;
	List *days;
	Datum *oids;
	Datum values[2];
	int count = 0;
	ListCell *cell;

	if (!expiry(stream, &before))
		return;
	days = archive_days_before(archive, before);
	if (days == NIL)
		return;
	oids = palloc(sizeof(Datum) * list_length(days));
	foreach (cell, days)
		oids[count++] = ObjectIdGetDatum(lfirst_oid(cell));
	values[0] = catalog_array(oids, NULL, count, REGCLASSOID);
	values[1] = ObjectIdGetDatum(archive);
	catalog_execute(&note_expired, values, NULL);
}

static void
tend_stream(Oid stream)
{
	Oid archive = archive_of(stream);
	OwnerScope scope;

	if (!OidIsValid(archive) || stream_owner(archive) != stream_owner(stream))
		return; /* its worker says so */
	if (archive_is_on(stream))
	{
		run_enter_owner(stream, &scope);
		archive_ensure_day(archive, GetCurrentTimestamp());
		archive_ensure_day(archive, GetCurrentTimestamp() + USECS_PER_DAY);
		run_leave_owner(&scope);
	}
	note_days(stream, archive);
}

void
archive_tend_local(const Stream *stream)
{
	static TimestampTz last = 0;
	TimestampTz now = GetCurrentTimestamp();
	Oid archive;
	TimestampTz before;

	if (!stream->archived)
		return;
	archive = archive_of(stream->relid);
	archive_ensure_day(archive, now + USECS_PER_DAY);
	if (!TimestampDifferenceExceeds(last, now, TEND_EVERY_MS) || !expiry(stream->relid, &before) ||
		archive_days_before(archive, before) == NIL)
		return;
	last = now;
	shared_wake_keeper(MyDatabaseId);
}

/* ---------------------------------------------------------------- one step, one transaction */

typedef struct Step
{
	Oid relid; /* a stream, or an expired day */
	Oid archive;
} Step;

typedef void (*StepBody)(const Step *step);

/* False: it failed, and the error is told; what is left waits for the next round. */
static bool
run_step(StepBody body, const Step *step, const char *what)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;
	Oid user;
	int security;

	GetUserIdAndSecContext(&user, &security);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		body(step);
		if (ActiveSnapshotSet())
			PopActiveSnapshot();
		CommitTransactionCommand();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		SetUserIdAndSecContext(user, security);
		/* somebody reads it: later */
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ereport(WARNING, (errcode(error->sqlerrcode), errmsg("%s: %s", what, error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, security);
	MemoryContextSwitchTo(context);
	return done;
}

static void
tend_step(const Step *step)
{
	if (get_rel_relkind(step->relid) == RELKIND_FOREIGN_TABLE)
		tend_stream(step->relid);
}

/* ---------------------------------------------------------------- an expired day */

/*
 * DETACH … CONCURRENTLY runs transactions of its own, so it is not for SPI; nor for ProcessUtility,
 * whose event triggers would find no snapshot, and may be anybody's.
 */
static void
alter_table(const char *sql)
{
	RawStmt *raw = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	AlterTableStmt *statement = castNode(AlterTableStmt, raw->stmt);
	LOCKMODE mode = AlterTableGetLockLevel(statement->cmds);
	AlterTableUtilityContext context = {.queryString = sql};

	context.relid = AlterTableLookupRelation(statement, mode);
	AlterTable(statement, mode, &context);
}

/* True when the day's row of pg_inherits says that it is a partition of the archive; *pending. */
static bool
is_partition(const Step *step, bool *pending)
{
	*pending = false;
	if (!get_rel_relispartition(step->relid) ||
		get_partition_parent(step->relid, true) != step->archive)
		return false;
	*pending = PartitionHasPendingDetach(step->relid);
	return true;
}

/*
 * The user stays the owner's over the statement's transactions, with no more around it: a security
 * context must not outlive a transaction.  Names are qualified, and none is looked up otherwise.
 */
static void
detach_step(const Step *step)
{
	bool pending;
	char *sql;

	if (!is_partition(step, &pending))
		return;
	sql = psprintf("ALTER TABLE %s DETACH PARTITION %s %s", stream_name(step->archive),
				   stream_name(step->relid), pending ? "FINALIZE" : "CONCURRENTLY");
	sql = MemoryContextStrdup(PortalContext, sql);
	SetUserIdAndSecContext(stream_owner(step->archive), 0);
	MemoryContextSwitchTo(PortalContext);
	alter_table(sql);
}

/* Only what is a day of an archive, by its trigger, goes. */
static void
drop_step(const Step *step)
{
	Datum value = ObjectIdGetDatum(step->relid);
	OwnerScope scope;
	bool pending;
	char *name;

	if (is_partition(step, &pending))
		return;
	if (get_rel_relkind(step->relid) == RELKIND_RELATION && archive_is_day(step->relid))
	{
		name = stream_name(step->relid);
		run_enter_owner(step->relid, &scope);
		if (SPI_connect() != SPI_OK_CONNECT ||
			SPI_execute(psprintf("DROP TABLE %s", name), false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not drop %s", name);
		SPI_finish();
		run_leave_owner(&scope);
		event_log(InvalidOid, "drop_archive_day", name);
	}
	catalog_execute(&forget_expired, &value, NULL);
}

/* ---------------------------------------------------------------- a round */

/* Pairs of a relation and its archive, in the current context; a transaction of its own. */
static List *
read_steps(CatalogStatement *statement, bool with_archive)
{
	MemoryContext context = CurrentMemoryContext;
	List *steps = NIL;
	CatalogScope scope;
	uint64 rows;
	bool isnull;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (catalog_is_installed())
	{
		catalog_enter(&scope);
		rows = catalog_run(statement, NULL, NULL);
		for (uint64 i = 0; i < rows; i++)
		{
			Step *step = MemoryContextAllocZero(context, sizeof(Step));

			step->relid = DatumGetObjectId(catalog_value(i, 1, &isnull));
			if (with_archive)
				step->archive = DatumGetObjectId(catalog_value(i, 2, &isnull));
			MemoryContextSwitchTo(context);
			steps = lappend(steps, step);
		}
		catalog_leave(&scope);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return steps;
}

static void
run_round(void)
{
	List *waiting = NIL;
	ListCell *cell;

	foreach (cell, read_steps(&all_archives, false))
		(void) run_step(tend_step, lfirst(cell), "partitions of an archive");
	foreach (cell, read_steps(&all_expired, true))
	{
		const Step *step = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		/* of an archive one day at a time can be on its way */
		if (list_member_oid(waiting, step->archive))
			continue;
		if (!run_step(detach_step, step, "a day of an archive") ||
			!run_step(drop_step, step, "a day of an archive"))
			waiting = lappend_oid(waiting, step->archive);
	}
}

/*
 * With a lock_timeout, which holds for the wait inside DETACH, too; and with PortalContext, where the
 * commands that run transactions of their own keep what must outlive them.
 */
void
archive_tend(bool now)
{
	static TimestampTz last = 0;
	MemoryContext before = PortalContext;
	MemoryContext old = CurrentMemoryContext;
	char *timeout;

	if (!now && !TimestampDifferenceExceeds(last, GetCurrentTimestamp(), TEND_EVERY_MS))
		return;
	last = GetCurrentTimestamp();
	timeout = pstrdup(GetConfigOption("lock_timeout", false, false));
	PortalContext =
		AllocSetContextCreate(TopMemoryContext, "streamagg archives", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(PortalContext);
	SetConfigOption("lock_timeout", PATIENCE, PGC_SUSET, PGC_S_OVERRIDE);
	run_round();
	SetConfigOption("lock_timeout", timeout, PGC_SUSET, PGC_S_OVERRIDE);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(PortalContext);
	PortalContext = before;
	pfree(timeout);
	pgstat_report_stat(false);
}
