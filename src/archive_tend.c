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
#include "worker/control.h"
#include "worker/shared.h"

#define TEND_EVERY_MS 60000
#define PATIENCE "1s"

/* Of this database: a copy that nobody uses keeps what it has. */
static CatalogStatement all_archives = {
	"SELECT a.archive, a.stream FROM streamagg.archive_catalog a"
	" JOIN pg_catalog.pg_class c ON c.oid = a.stream AND c.relkind = 'f'"
	" WHERE a.identity = $1 ORDER BY 1",
	1,
	{TEXTOID},
	NULL};

/* One at a time, so that what is noted is what is being detached. */
static CatalogStatement note_expired = {
	"INSERT INTO streamagg.archive_expired (partition, archive) SELECT $1, $2"
	" WHERE NOT EXISTS (SELECT FROM streamagg.archive_expired e WHERE e.archive = $2)",
	2,
	{REGCLASSOID, REGCLASSOID},
	NULL};

static CatalogStatement find_expired = {
	"SELECT partition FROM streamagg.archive_expired WHERE archive = $1 LIMIT 1",
	1,
	{REGCLASSOID},
	NULL};

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
	shared_wake_keeper(MyDatabaseId, false);
}

/* ---------------------------------------------------------------- one step, one transaction */

typedef struct Step
{
	Oid archive;
	Oid stream;
	Oid day; /* that goes */
} Step;

typedef void (*StepBody)(Step *step);

/* False: it failed, and the error is told; what is left waits for the next round. */
static bool
run_step(StepBody body, Step *step)
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
			ereport(WARNING, (errcode(error->sqlerrcode),
							  errmsg("partitions of an archive: %s", error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, security);
	MemoryContextSwitchTo(context);
	return done;
}

/* False when the relation is gone; else it stays until the transaction ends. */
static bool
hold(Oid relid)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel)
		relation_close(rel, NoLock);
	return rel != NULL;
}

/* Today and tomorrow. */
static void
make_days(Step *step)
{
	OwnerScope scope;

	if (!hold(step->stream) || !hold(step->archive) || !archive_is_on(step->stream) ||
		stream_owner(step->archive) != stream_owner(step->stream))
		return; /* the worker says so */
	run_enter_owner(step->stream, &scope);
	archive_ensure_day(step->archive, GetCurrentTimestamp());
	archive_ensure_day(step->archive, GetCurrentTimestamp() + USECS_PER_DAY);
	run_leave_owner(&scope);
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

/* True when the day is a partition of the archive; *pending: half detached. */
static bool
is_partition(const Step *step, bool *pending)
{
	*pending = false;
	if (!get_rel_relispartition(step->day) ||
		get_partition_parent(step->day, true) != step->archive)
		return false;
	*pending = PartitionHasPendingDetach(step->day);
	return true;
}

static Oid
noted_day(Oid archive)
{
	Datum value = ObjectIdGetDatum(archive);

	return catalog_find_oid(&find_expired, &value);
}

/* The day that a crash or a reader has left in the middle, or the oldest that is past archive_keep. */
static void
note_day(Step *step)
{
	TimestampTz before;
	List *days;
	Datum values[2];

	step->day = noted_day(step->archive);
	if (OidIsValid(step->day) || !hold(step->stream) || !hold(step->archive) ||
		!expiry(step->stream, &before))
		return;
	days = archive_days_before(step->archive, before);
	if (days == NIL)
		return;
	values[0] = ObjectIdGetDatum(linitial_oid(days));
	values[1] = ObjectIdGetDatum(step->archive);
	catalog_execute(&note_expired, values, NULL);
	step->day = linitial_oid(days);
}

/*
 * The user stays the owner's over the statement's transactions, with no more around it: a security
 * context must not outlive a transaction.  Names are qualified, and none is looked up otherwise.
 */
static void
detach_day(Step *step)
{
	bool pending;
	char *sql;

	if (!is_partition(step, &pending))
		return;
	sql = psprintf("ALTER TABLE %s DETACH PARTITION %s %s", stream_name(step->archive),
				   stream_name(step->day), pending ? "FINALIZE" : "CONCURRENTLY");
	sql = MemoryContextStrdup(PortalContext, sql);
	SetUserIdAndSecContext(stream_owner(step->archive), 0);
	MemoryContextSwitchTo(PortalContext);
	alter_table(sql);
}

/* Only what is a day of an archive, by its trigger, goes. */
static void
drop_day(Step *step)
{
	Datum value = ObjectIdGetDatum(step->day);
	OwnerScope scope;
	bool pending;
	char *name;

	if (is_partition(step, &pending))
		return;
	if (get_rel_relkind(step->day) == RELKIND_RELATION && archive_is_day(step->day))
	{
		name = stream_name(step->day);
		run_enter_owner(step->day, &scope);
		if (SPI_connect() != SPI_OK_CONNECT ||
			SPI_execute(psprintf("DROP TABLE %s", name), false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not drop %s", name);
		SPI_finish();
		run_leave_owner(&scope);
		event_log(step->stream, "drop_archive_day", name);
	}
	catalog_execute(&forget_expired, &value, NULL);
}

/* ---------------------------------------------------------------- a round */

/* The archives, in the current context; a transaction of its own. */
static List *
read_archives(void)
{
	MemoryContext context = CurrentMemoryContext;
	List *steps = NIL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (catalog_is_installed())
	{
		Datum identity = CStringGetTextDatum(control_identity());
		CatalogScope scope;
		uint64 rows;
		bool isnull;

		catalog_enter(&scope);
		rows = catalog_run(&all_archives, &identity, NULL);
		for (uint64 i = 0; i < rows; i++)
		{
			Step *step = MemoryContextAllocZero(context, sizeof(Step));

			step->archive = DatumGetObjectId(catalog_value(i, 1, &isnull));
			step->stream = DatumGetObjectId(catalog_value(i, 2, &isnull));
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

/* Until one of its days must wait for a reader. */
static void
drop_days(Step *step)
{
	while (run_step(note_day, step) && OidIsValid(step->day))
	{
		CHECK_FOR_INTERRUPTS();
		if (!run_step(detach_day, step) || !run_step(drop_day, step))
			return;
	}
}

static void
run_round(void)
{
	ListCell *cell;

	foreach (cell, read_archives())
	{
		(void) run_step(make_days, lfirst(cell));
		drop_days(lfirst(cell));
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
