/*
 * close_hook.c - runs the commands of streamagg.on_close().
 *
 * A window that closes becomes a row of close_queue, in the transaction of the batch; the row goes in the
 * transaction in which the command went well.  So the command's effect is there exactly once, however
 * often it failed before.  Each run is in a savepoint and under a timeout: a command that fails, or does
 * not end, costs its own effect and a pause, not the batch.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "close_hook.h"
#include "guard.h"
#include "run.h"
#include "sqlstate.h"
#include "stream.h"
#include "streamagg.h"
#include "worker/failure.h"

#define AT_ONCE 100
#define BUDGET_MS 1000 /* of an aggregate and a batch */
#define MAX_PAUSE_S 3600
/* Times of its own length that a failed run is paused for: a stream is not held up more than that. */
#define PAUSE_SHARE 10

static CatalogStatement add_windows = {
	"INSERT INTO streamagg.close_queue (aggregate, window_start, window_end)"
	" SELECT h.aggregate, n.* FROM streamagg.close_hook h,"
	" unnest($2::timestamptz[], $3::timestamptz[]) AS n WHERE h.aggregate = $1"
	" ON CONFLICT DO NOTHING",
	3,
	{REGCLASSOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID},
	NULL};

/* on_close() of another session waits for the batch, or it for that. */
static CatalogStatement lock_hook = {
	"SELECT command FROM streamagg.close_hook WHERE aggregate = $1 FOR UPDATE",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement find_next = {
	"SELECT min(next_try) FROM streamagg.close_queue WHERE aggregate = $1", 1, {REGCLASSOID}, NULL};

static CatalogStatement find_due = {
	"SELECT window_start, window_end, attempts FROM streamagg.close_queue WHERE aggregate = $1"
	" AND next_try <= $2 ORDER BY next_try, window_start, window_end LIMIT $3",
	3,
	{REGCLASSOID, TIMESTAMPTZOID, INT4OID},
	NULL};

static CatalogStatement remove_window = {
	"WITH q AS (DELETE FROM streamagg.close_queue"
	" WHERE aggregate = $1 AND window_start = $2 AND window_end = $3)"
	" UPDATE streamagg.close_hook SET closed = closed + 1 WHERE aggregate = $1",
	3,
	{REGCLASSOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
	NULL};

static CatalogStatement postpone_window = {
	"WITH q AS (UPDATE streamagg.close_queue SET attempts = attempts + 1, next_try = $4"
	" WHERE aggregate = $1 AND window_start = $2 AND window_end = $3)"
	" UPDATE streamagg.close_hook SET failures = failures + 1, last_sqlstate = $5, last_error = $6,"
	" last_failed_at = pg_catalog.clock_timestamp() WHERE aggregate = $1",
	6,
	{REGCLASSOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID},
	NULL};

/* A window that waits for its command. */
typedef struct Waiting
{
	Oid stream;
	const Aggregate *aggregate;
	const char *command;
	TimestampTz start;
	TimestampTz end;
	int attempts;
} Waiting;

void
close_hook_add(Oid aggregate, const Datum *starts, const Datum *ends, int count)
{
	Datum values[3] = {ObjectIdGetDatum(aggregate),
					   catalog_array(starts, NULL, count, TIMESTAMPTZOID),
					   catalog_array(ends, NULL, count, TIMESTAMPTZOID)};

	catalog_execute(&add_windows, values, NULL);
}

void
close_hook_lock_views(const List *aggregates)
{
	ListCell *cell;

	foreach (cell, aggregates)
		if (((const Aggregate *) lfirst(cell))->has_hook)
			LockRelationOid(((const Aggregate *) lfirst(cell))->view, AccessShareLock);
}

/* ---------------------------------------------------------------- the timeout */

static TimeoutId timer = MAX_TIMEOUTS;
static volatile sig_atomic_t timed_out = false;
static bool armed = false;
static int depth = 0; /* a command may push into another stream, whose windows close */

/* As a cancel request: a timeout of statements is set by sessions, not by background workers. */
static void
on_timeout(void)
{
	timed_out = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

static void
begin_timeout(void)
{
	if (depth++ > 0 || streamagg_hook_timeout == 0)
		return;
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, on_timeout);
	timed_out = false;
	armed = true;
	enable_timeout_after(timer, streamagg_hook_timeout);
}

/* True when it was over. */
static bool
end_timeout(void)
{
	if (--depth > 0 || !armed)
		return false;
	armed = false;
	disable_timeout(timer, false);
	if (timed_out)
		QueryCancelPending = false; /* it may have come too late to be noticed */
	return timed_out;
}

/* ---------------------------------------------------------------- one run */

/* What is deferred to the commit would fail there, and the batch with it. */
static void
check_deferred(void)
{
	if (MyBgworkerEntry && SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not check deferred constraints");
}

static void
run_command(void *argument)
{
	const Waiting *waiting = argument;
	ParamListInfo params = makeParamList(2);
	SPIExecuteOptions options = {.params = params, .dest = None_Receiver};
	OwnerScope scope;
	int result;

	for (int i = 0; i < 2; i++)
	{
		params->params[i].ptype = TIMESTAMPTZOID;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].isnull = false;
		params->params[i].value = TimestampTzGetDatum(i == 0 ? waiting->start : waiting->end);
	}
	run_enter_owner(waiting->stream, &scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute_extended(waiting->command, &options);
	if (result < 0)
		elog(ERROR, "could not run the command: %s", SPI_result_code_string(result));
	check_deferred();
	SPI_finish();
	run_leave_owner_undone(&scope);
}

/* In words without a value of a row. */
static char *
reason_of(const ErrorData *error, bool over)
{
	if (over)
		return pstrdup("it did not end within streamagg.hook_timeout");
	if (sqlstate_is_data(error->sqlerrcode))
		return psprintf("it failed with SQLSTATE %s", unpack_sql_state(error->sqlerrcode));
	return failure_reason(error);
}

/* Somebody cancels the batch, not the command. */
static bool
is_cancel(const ErrorData *error, bool over)
{
	return !over && error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->funcname &&
		   strcmp(error->funcname, "ProcessInterrupts") == 0;
}

static void
window_values(const Waiting *waiting, Datum *values)
{
	values[0] = ObjectIdGetDatum(waiting->aggregate->view);
	values[1] = TimestampTzGetDatum(waiting->start);
	values[2] = TimestampTzGetDatum(waiting->end);
}

static void
postpone(const Waiting *waiting, const ErrorData *error, bool over, double took_ms)
{
	double pause = Min(waiting->attempts < 12 ? 1 << waiting->attempts : MAX_PAUSE_S, MAX_PAUSE_S);
	char *reason = reason_of(error, over);
	Datum values[6];

	pause = Max(pause * 1000, took_ms * PAUSE_SHARE);
	window_values(waiting, values);
	values[3] =
		TimestampTzGetDatum(TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) pause));
	values[4] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
	values[5] = CStringGetTextDatum(reason);
	catalog_execute(&postpone_window, values, NULL);
	ereport(LOG, (errmsg("aggregate \"%s\": its on_close command fails: %s",
						 waiting->aggregate->name, reason)));
}

static void
run_one(const Waiting *waiting)
{
	TimestampTz began = GetCurrentTimestamp();
	ErrorData *error;
	Datum values[3];
	bool over;

	begin_timeout();
	error = guard_catch(run_command, (void *) waiting);
	over = end_timeout();
	if (error && is_cancel(error, over))
		ReThrowError(error);
	if (error)
	{
		postpone(waiting, error, over,
				 (double) TimestampDifferenceMilliseconds(began, GetCurrentTimestamp()));
		return;
	}
	window_values(waiting, values);
	catalog_execute(&remove_window, values, NULL);
}

/* ---------------------------------------------------------------- what is due */

/* The windows of an aggregate that are due, at most so many, in the current context. */
static List *
read_due(const Waiting *form, TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[3] = {ObjectIdGetDatum(form->aggregate->view), TimestampTzGetDatum(now),
					   Int32GetDatum(AT_ONCE)};
	List *found = NIL;
	CatalogScope scope;
	uint64 rows;
	bool isnull;

	catalog_enter(&scope);
	rows = catalog_run(&find_due, values, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Waiting *waiting = palloc(sizeof(Waiting));

		*waiting = *form;
		waiting->start = DatumGetTimestampTz(catalog_value(i, 1, &isnull));
		waiting->end = DatumGetTimestampTz(catalog_value(i, 2, &isnull));
		waiting->attempts = DatumGetInt32(catalog_value(i, 3, &isnull));
		found = lappend(found, waiting);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	return found;
}

/* When the next window of the aggregate is due; infinity: none waits. */
static TimestampTz
next_try(Oid aggregate)
{
	Datum value = ObjectIdGetDatum(aggregate);
	CatalogScope scope;
	TimestampTz found;
	bool isnull;

	catalog_enter(&scope);
	(void) catalog_run(&find_next, &value, NULL);
	found = DatumGetTimestampTz(catalog_value(0, 1, &isnull));
	catalog_leave(&scope);
	return isnull ? DT_NOEND : found;
}

/* The command, in the current context; NULL: there is none any more. */
static char *
lock_command(Oid aggregate)
{
	MemoryContext context = CurrentMemoryContext;
	Datum value = ObjectIdGetDatum(aggregate);
	CatalogScope scope;
	char *command = NULL;

	catalog_enter(&scope);
	if (catalog_run(&lock_hook, &value, NULL) > 0)
		command = MemoryContextStrdup(context, catalog_string(0, 1));
	catalog_leave(&scope);
	return command;
}

static void
run_due(Waiting *form)
{
	TimestampTz began = GetCurrentTimestamp();
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg hooks", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	List *due;
	ListCell *cell;

	form->command = lock_command(form->aggregate->view);
	while (form->command && (due = read_due(form, began)) != NIL)
	{
		foreach (cell, due)
		{
			CHECK_FOR_INTERRUPTS();
			run_one(lfirst(cell));
			if (TimestampDifferenceExceeds(began, GetCurrentTimestamp(), BUDGET_MS))
				goto done;
		}
	}
done:
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

TimestampTz
close_hook_run(Oid stream, const List *aggregates)
{
	TimestampTz next = DT_NOEND;
	ListCell *cell;

	foreach (cell, aggregates)
	{
		Waiting form = {.stream = stream, .aggregate = lfirst(cell)};

		if (!form.aggregate->has_hook)
			continue;
		if (next_try(form.aggregate->view) <= GetCurrentTimestamp())
			run_due(&form);
		next = Min(next, next_try(form.aggregate->view));
	}
	return next;
}
