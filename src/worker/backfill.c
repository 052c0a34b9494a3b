/*
 * backfill.c - streamagg.backfill(), and the process that does it.
 *
 * A function cannot commit, and the stream must go on while much is read.  So the function starts a
 * process, waits for its end and takes it along when it is cancelled.  Each slice of the windows is a
 * transaction of its own (aggregate/backfill.c), and the log of backfills tells how far it came: what
 * is done is done for good, also after a crash, and the next call begins where from_ts says.
 *
 * The process connects as the user of the session and works as the stream's owner.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "aggregate/backfill.h"
#include "aggregate/run.h"
#include "backfill.h"
#include "catalog.h"
#include "event.h"
#include "failure.h"
#include "settings.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_backfill);

#define LOOK_MS 200
#define REASON_SIZE 1024

/* In shared memory: what is to be done, and what became of it. */
typedef struct Task
{
	Oid database;
	Oid user;
	Oid view;
	bool from_kafka;
	WindowRange range;
	bool ended;
	int64 rows;
	int code; /* SQLSTATE of the failure; 0: none */
	char reason[REASON_SIZE];
} Task;

static Task *task;			/* of this process */
static TimestampTz started; /* with its id the key of the log */

static CatalogStatement add_log = {
	"WITH d AS (DELETE FROM streamagg.backfill_log WHERE started_at < $6 - interval '30 days')"
	" INSERT INTO streamagg.backfill_log (pid, started_at, aggregate, source, from_ts, to_ts, "
	"done_to)"
	" SELECT $5, $6, $1, $2, $3, $4, $3",
	6,
	{REGCLASSOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID},
	NULL};

static CatalogStatement store_progress = {"UPDATE streamagg.backfill_log SET done_to = $3, "
										  "rows_read = $4 WHERE pid = $1 AND started_at = $2",
										  4,
										  {INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID},
										  NULL};

static CatalogStatement store_end = {
	"UPDATE streamagg.backfill_log SET state = $3, reason = $4, sqlstate = $5,"
	" finished_at = pg_catalog.clock_timestamp() WHERE pid = $1 AND started_at = $2",
	5,
	{INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID},
	NULL};

static CatalogStatement is_blocked = {
	"SELECT $1 = ANY (pg_catalog.pg_blocking_pids($2))", 2, {INT4OID, INT4OID}, NULL};

/* ---------------------------------------------------------------- the process: its log */

static void
begin(OwnerScope *scope)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (scope)
		run_enter_owner(source_stream(task->view), scope);
}

static void
commit(const OwnerScope *scope)
{
	if (scope)
		run_leave_owner(scope);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
}

static void
log_beginning(void)
{
	Datum values[6] = {ObjectIdGetDatum(task->view),
					   CStringGetTextDatum(task->from_kafka ? "kafka" : "archive"),
					   TimestampTzGetDatum(task->range.from),
					   TimestampTzGetDatum(task->range.to),
					   Int32GetDatum(MyProcPid),
					   TimestampTzGetDatum(started)};

	catalog_execute(&add_log, values, NULL);
}

static void
log_progress(TimestampTz done_to)
{
	Datum values[4] = {Int32GetDatum(MyProcPid), TimestampTzGetDatum(started),
					   TimestampTzGetDatum(done_to), Int64GetDatum(task->rows)};

	catalog_execute(&store_progress, values, NULL);
}

static void
log_end(const char *state, const char *reason, int code)
{
	Datum values[5] = {Int32GetDatum(MyProcPid), TimestampTzGetDatum(started),
					   CStringGetTextDatum(state), (Datum) 0, (Datum) 0};

	if (reason)
	{
		values[3] = CStringGetTextDatum(reason);
		values[4] = CStringGetTextDatum(unpack_sql_state(code));
	}
	catalog_execute(&store_end, values, reason ? NULL : "   nn");
}

/* ---------------------------------------------------------------- the process: its work */

/* Outside a transaction, where a process may end, PostgreSQL leaves a session's locks to the next. */
static void
release_archive(int code, Datum arg)
{
	LockReleaseAll(DEFAULT_LOCKMETHOD, true);
}

/* Until this process ends, what it has seen to be there stays: no day of the archive is dropped. */
static void
keep_archive(const Source *source)
{
	Relation rel = relation_open(source->archive, AccessShareLock);

	LockRelationIdForSession(&rel->rd_lockInfo.lockRelId, AccessShareLock);
	relation_close(rel, NoLock);
}

/* The ends of all slices but the last, in a context that outlives the transaction. */
static TimestampTz *
prepare(int *count)
{
	OwnerScope scope;
	Source *source;
	TimestampTz *cuts = NULL;
	MemoryContext old;

	*count = 0;
	begin(&scope);
	catalog_check_version();
	source = source_load(task->view);
	SetConfigOption("application_name", source->name, PGC_USERSET, PGC_S_OVERRIDE);
	pgstat_report_appname(source->name);
	if (!task->from_kafka)
	{
		source_require_archive(source);
		keep_archive(source);
		(void) source_leave_out_expired(source, &task->range);
		backfill_require_rows(source, &task->range);
		old = MemoryContextSwitchTo(TopMemoryContext);
		cuts = backfill_cut(source, &task->range, count);
		MemoryContextSwitchTo(old);
	}
	log_beginning();
	event_log(source->stream, "backfill", source->name);
	commit(&scope);
	return cuts;
}

/* One transaction: the windows and how far the log says that they are done. */
static void
do_slice(const WindowRange *range)
{
	OwnerScope scope;

	begin(&scope);
	task->rows += task->from_kafka ? backfill_from_topic(task->view, range)
								   : backfill_replace(task->view, range);
	log_progress(range->to);
	commit(&scope);
}

static void
serve_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* Until no more rows were read than streamagg.backfill_rate allows. */
static void
throttle(void)
{
	for (;;)
	{
		double elapsed = (GetCurrentTimestamp() - started) / (double) USECS_PER_SEC;
		double wait;

		serve_interrupts();
		if (streamagg_backfill_rate == 0)
			return;
		wait = (double) task->rows / streamagg_backfill_rate - elapsed;
		if (wait <= 0)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) Min(wait * 1000 + 1, 1000), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

static void
work(void)
{
	int count;
	TimestampTz *cuts = prepare(&count);
	WindowRange slice = task->range;

	for (int i = 0; i <= count; i++)
	{
		slice.to = i < count ? cuts[i] : task->range.to;
		do_slice(&slice);
		slice.from = slice.to;
		if (i < count)
			throttle();
	}
	begin(NULL);
	log_end("done", NULL, 0);
	commit(NULL);
}

static void
fail(void)
{
	ErrorData *error;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	strlcpy(task->reason, failure_reason(error), REASON_SIZE);
	task->code = error->sqlerrcode;
	RESUME_INTERRUPTS();
	begin(NULL);
	log_end("failed", task->reason, task->code);
	commit(NULL);
}

void
streamagg_backfill_main(Datum handle)
{
	dsm_segment *segment;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "streamagg backfill");
	segment = dsm_attach(DatumGetUInt32(handle));
	if (segment == NULL)
		proc_exit(0); /* who asked for it is gone */
	dsm_pin_mapping(segment);
	task = dsm_segment_address(segment);
	before_shmem_exit(release_archive, 0); /* called behind what ends the transaction */
	BackgroundWorkerInitializeConnectionByOid(task->database, task->user, 0);
	settings_apply();
	/* sorts and hash tables of slices, one at a time, as a CREATE INDEX has them */
	SetConfigOption("work_mem", GetConfigOption("maintenance_work_mem", false, false), PGC_USERSET,
					PGC_S_OVERRIDE);
	started = GetCurrentTimestamp();
	PG_TRY();
	{
		work();
	}
	PG_CATCH();
	{
		fail();
	}
	PG_END_TRY();
	task->ended = true;
	proc_exit(0);
}

/* ---------------------------------------------------------------- the function */

static BackgroundWorkerHandle *
launch(dsm_segment *segment)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, STREAMAGG_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "streamagg_backfill_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "streamagg backfill", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "streamagg backfill", sizeof(worker.bgw_type));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("no worker slot is free for a backfill"),
						errhint("Raise max_worker_processes.")));
	return handle;
}

/* It would wait for this transaction, which waits for it. */
static void
refuse_own_locks(pid_t pid)
{
	Datum values[2] = {Int32GetDatum(MyProcPid), Int32GetDatum(pid)};
	CatalogScope scope;
	bool blocked;
	bool isnull;

	catalog_enter(&scope);
	(void) catalog_read(&is_blocked, values);
	blocked = DatumGetBool(catalog_value(0, 1, &isnull));
	catalog_leave(&scope);
	if (blocked)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the backfill waits for locks of this transaction"),
						errhint("Call streamagg.backfill() in a transaction of its own.")));
}

static void
wait_for_end(BackgroundWorkerHandle *handle)
{
	for (;;)
	{
		pid_t pid;
		BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);

		if (status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED)
			return;
		if (status == BGWH_STARTED)
			refuse_own_locks(pid);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* However this ends: no process goes on that nobody waits for. */
static void
terminate(int code, Datum handle)
{
	TerminateBackgroundWorker((BackgroundWorkerHandle *) DatumGetPointer(handle));
}

static void
raise_failure(Task *done)
{
	char *hint = strstr(done->reason, FAILURE_HINT);

	if (!done->ended)
		ereport(ERROR, (errcode(ERRCODE_ADMIN_SHUTDOWN),
						errmsg("the process of the backfill has ended before its time"),
						errhint("The server's log tells why. streamagg.backfills tells how far it "
								"came: call it again with that as from_ts.")));
	if (done->code == 0)
		return;
	if (hint)
	{
		*hint = '\0';
		hint += strlen(FAILURE_HINT);
	}
	ereport(ERROR,
			(errcode(done->code), errmsg("%s", done->reason), hint ? errhint("%s", hint) : 0));
}

static int64
run_process(const Task *given)
{
	dsm_segment *segment = dsm_create(sizeof(Task), 0);
	Task *shared_task = dsm_segment_address(segment);
	BackgroundWorkerHandle *handle;
	Task done;

	*shared_task = *given;
	handle = launch(segment);
	PG_ENSURE_ERROR_CLEANUP(terminate, PointerGetDatum(handle));
	{
		wait_for_end(handle);
	}
	PG_END_ENSURE_ERROR_CLEANUP(terminate, PointerGetDatum(handle));
	done = *shared_task;
	dsm_detach(segment);
	raise_failure(&done);
	return done.rows;
}

static bool
is_kafka(FunctionCallInfo fcinfo)
{
	char *source = PG_ARGISNULL(3) ? "NULL" : text_to_cstring(PG_GETARG_TEXT_PP(3));

	if (strcmp(source, "archive") != 0 && strcmp(source, "kafka") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for argument source: \"%s\"", source),
						errhint("It is archive or kafka.")));
	return strcmp(source, "kafka") == 0;
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument aggregate must not be null")));
	if (IsTransactionBlock())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("backfill() cannot run inside a transaction block"),
						errdetail("It works in transactions of its own.")));
}

static void
tell_expired(Oid view, const WindowRange *range)
{
	TimestampTz before;

	if (!retention_horizon(source_state(view), &before) ||
		(range->to > before && (range->from >= before || TIMESTAMP_IS_NOBEGIN(range->from))))
		return;
	ereport(NOTICE,
			(errmsg("windows that start before %s are left out", timestamptz_to_str(before)),
			 errdetail("They may be past the retention of the aggregate: what is gone does not "
					   "come back.")));
}

/*
 * streamagg.backfill(aggregate, from_ts, to_ts, source): waits for the end and returns the rows read.
 * Errors: 42501 for others than members of the stream's owner, 55000 without an archive or when it does
 * not hold the rows, 25001 in a transaction block, 53400 without a free process.
 */
Datum
streamagg_backfill(PG_FUNCTION_ARGS)
{
	Task given = {MyDatabaseId, GetSessionUserId()};

	streamagg_require_preload();
	PreventCommandDuringRecovery("backfill()");
	PreventCommandIfReadOnly("backfill()");
	catalog_check_version();
	given.from_kafka = is_kafka(fcinfo);
	check_arguments(fcinfo);
	given.view = PG_GETARG_OID(0);
	given.range.from = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1);
	given.range.to = PG_ARGISNULL(2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2);
	stream_require_owner(source_stream(given.view));
	tell_expired(given.view, &given.range);
	PG_RETURN_INT64(run_process(&given));
}
