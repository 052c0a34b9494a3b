/*
 * control.c - start(), stop(), restart(), start_all(), stop_all().
 *
 * What persists is a row of stream_catalog, so it follows the caller's transaction: start() takes
 * effect at commit, and what stop() ended at once runs again after a rollback.  Between, the stream
 * is held: the keeper leaves it alone until the transaction is over.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "adopt.h"
#include "aggregate/define.h"
#include "archive.h"
#include "catalog.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "control.h"
#include "event.h"
#include "kafka/config.h"
#include "key.h"
#include "session.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_start);
PG_FUNCTION_INFO_V1(streamagg_stop);
PG_FUNCTION_INFO_V1(streamagg_restart);
PG_FUNCTION_INFO_V1(streamagg_start_all);
PG_FUNCTION_INFO_V1(streamagg_stop_all);
PG_FUNCTION_INFO_V1(streamagg_identity);

#define DEFAULT_STOP_TIMEOUT_MS 30000

static CatalogStatement register_stream = {
	"INSERT INTO streamagg.stream_catalog (stream, identity) SELECT $1, $2 ON CONFLICT DO NOTHING",
	2,
	{REGCLASSOID, TEXTOID},
	NULL};

static CatalogStatement want_stream = {
	"INSERT INTO streamagg.stream_catalog AS c (stream, wanted, identity, fixed)"
	" SELECT $1, true, $2, $3 ON CONFLICT (stream) DO UPDATE SET wanted = true, halted = false,"
	" reason = NULL, code = NULL, since = now(), identity = excluded.identity,"
	" fixed = excluded.fixed"
	" WHERE NOT c.wanted OR c.halted OR c.identity IS DISTINCT FROM excluded.identity",
	3,
	{REGCLASSOID, TEXTOID, TEXTOID},
	NULL};

static CatalogStatement unwant_stream = {"UPDATE streamagg.stream_catalog SET wanted = false, "
										 "halted = false, reason = NULL, code = NULL,"
										 " since = now() WHERE stream = $1 AND wanted",
										 1,
										 {REGCLASSOID},
										 NULL};

static CatalogStatement find_wanted = {
	"SELECT fixed FROM streamagg.stream_catalog WHERE stream = $1 AND wanted AND NOT halted"
	" AND identity = $2",
	2,
	{REGCLASSOID, TEXTOID},
	NULL};

static CatalogStatement callers_streams = {"SELECT s.stream FROM streamagg.stream_catalog s"
										   " JOIN pg_catalog.pg_class c ON c.oid = s.stream"
										   " WHERE pg_catalog.pg_has_role($1, c.relowner, 'USAGE')"
										   " AND (s.wanted AND NOT s.halted) = $2 ORDER BY 1",
										   2,
										   {OIDOID, BOOLOID},
										   NULL};

/* ---------------------------------------------------------------- catalogue */

char *
control_identity(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

/* streamagg.identity() */
Datum
streamagg_identity(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(control_identity()));
}

void
control_register(Oid stream)
{
	Datum values[2] = {ObjectIdGetDatum(stream), CStringGetTextDatum(control_identity())};

	catalog_execute(&register_stream, values, NULL);
}

bool
control_is_running(Oid stream)
{
	Datum values[2] = {ObjectIdGetDatum(stream), CStringGetTextDatum(control_identity())};

	return catalog_execute(&find_wanted, values, NULL) > 0;
}

void
control_check_fixed_options(Oid stream)
{
	Datum values[2] = {ObjectIdGetDatum(stream), CStringGetTextDatum(control_identity())};
	CatalogScope scope;
	bool differs = false;

	catalog_enter(&scope);
	if (catalog_run(&find_wanted, values, NULL) > 0)
	{
		char *fixed = catalog_string(0, 1);

		differs = fixed == NULL || strcmp(fixed, stream_fixed_options(stream)) != 0;
	}
	catalog_leave(&scope);
	if (differs)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("stream \"%s\" must be stopped for this change", get_rel_name(stream)),
				 errdetail("topic, format, start_from, event_time and the options of columns are "
						   "fixed while it runs."),
				 errhint("SELECT streamagg.stop('%s');", stream_name(stream))));
}

/* start() of a stream that pauses after a failure: it is tried at once. */
static void
cut_pause(Oid stream)
{
	StreamSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_slot(MyDatabaseId, stream);
	if (slot && slot->pid == 0 && slot->next_retry != 0)
		slot->next_retry = GetCurrentTimestamp();
	LWLockRelease(shared->lock);
	session_changed();
}

void
control_forget(Oid stream)
{
	session_changed();
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	{
		StreamSlot *slot = shared_find_slot(MyDatabaseId, stream);

		/* the dropping transaction holds the table: the worker meets that and ends */
		if (slot && slot->latch)
			SetLatch(slot->latch);
	}
	LWLockRelease(shared->lock);
}

/* ---------------------------------------------------------------- start */

/* Workers connect as the owner: what the connection will be refused for is said here. */
static void
require_login(Oid stream)
{
	Oid owner = stream_owner(stream);
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
	bool can_login;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "role %u does not exist", owner);
	can_login = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (!can_login)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" is not permitted to log in", GetUserNameFromId(owner, false)),
				 errdetail("The worker of stream \"%s\" connects as the stream's owner.",
						   get_rel_name(stream)),
				 errhint("ALTER ROLE %s LOGIN; a password is not needed.",
						 quote_identifier(GetUserNameFromId(owner, false)))));
	if (compat_database_aclcheck(MyDatabaseId, owner, ACL_CONNECT) != ACLCHECK_OK)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" may not connect to this database",
							   GetUserNameFromId(owner, false)),
						errhint("GRANT CONNECT ON DATABASE %s TO %s;",
								quote_identifier(get_database_name(MyDatabaseId)),
								quote_identifier(GetUserNameFromId(owner, false)))));
}

static void
require_startable(Oid relid)
{
	Stream *stream = stream_load(relid, CurrentMemoryContext);

	if (stream->local)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is local: it has no topic to read", stream->name),
						errhint("Its server has no bootstrap_servers. Feed it with "
								"streamagg.push().")));
	if (define_count(relid) == 0 && !stream->archived)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" has no aggregate", stream->name),
						errhint("Make one with streamagg.create_aggregate(), or let the stream "
								"keep its rows with the option archive 'on'.")));
	archive_prepare(relid);
	require_login(relid);
	key_load(stream);
	kafka_check_connection(stream->server, stream->owner);
	stream_free(stream);
}

/* True when the stream did not run and will at commit. */
static bool
start_stream(Oid relid)
{
	Datum values[3];

	require_startable(relid);
	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(control_identity());
	values[2] = CStringGetTextDatum(stream_fixed_options(relid));
	if (catalog_execute(&want_stream, values, NULL) == 0)
		return false;
	event_log(relid, "start", NULL);
	session_started(relid);
	return true;
}

static void
require_running_server(void)
{
	streamagg_require_preload();
	catalog_check_version();
	PreventCommandDuringRecovery("streamagg's control functions");
}

/* streamagg.start(stream) */
Datum
streamagg_start(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool started;

	require_running_server();
	stream_require_control(relid);
	adopt_require();
	started = start_stream(relid);
	if (!started)
	{
		cut_pause(relid);
		ereport(NOTICE, (errmsg("stream \"%s\" is running already", get_rel_name(relid))));
	}
	PG_RETURN_BOOL(started);
}

/* ---------------------------------------------------------------- stop */

typedef enum StopMode
{
	STOP_COMMIT,
	STOP_ABORT
} StopMode;

static pid_t
worker_pid(Oid stream)
{
	StreamSlot *slot;
	pid_t pid;

	LWLockAcquire(shared->lock, LW_SHARED);
	slot = shared_find_slot(MyDatabaseId, stream);
	pid = slot ? slot->pid : 0;
	LWLockRelease(shared->lock);
	return pid;
}

/* A worker that has let go of its slot is about to exit: wait for that, too. */
static void
wait_for_exit(pid_t pid)
{
	for (int i = 0; pid != 0 && i < 1000 && kill(pid, 0) == 0; i++)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000);
	}
}

/* Waits until the stream has no worker; false when the time is over first. */
static bool
wait_for_end(Oid stream, pid_t pid, int64 timeout_ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);

	ConditionVariablePrepareToSleep(&shared->ended);
	while (worker_pid(stream) != 0)
	{
		long rest = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		if (rest <= 0)
			break;
		ConditionVariableTimedSleep(&shared->ended, Min(rest, 1000), PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	if (worker_pid(stream) != 0)
		return false;
	wait_for_exit(pid);
	return true;
}

/* Asks the worker to end and holds the stream until the transaction is over. */
static void
ask_to_end(Oid stream, StopMode mode)
{
	StreamSlot *slot;

	session_hold(stream);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_slot(MyDatabaseId, stream);
	if (slot && slot->pid != 0)
	{
		slot->stop = true;
		SetLatch(slot->latch);
		if (mode == STOP_ABORT)
			kill(slot->pid, SIGINT);
	}
	LWLockRelease(shared->lock);
}

/* Past the time-out the worker is terminated: its batch is rolled back. */
static bool
end_worker(Oid stream, StopMode mode, int64 timeout_ms)
{
	pid_t pid = worker_pid(stream);

	ask_to_end(stream, mode);
	if (wait_for_end(stream, pid, timeout_ms))
		return true;
	pid = worker_pid(stream);
	if (pid != 0)
		kill(pid, SIGTERM);
	(void) wait_for_end(stream, pid, 5000);
	return false;
}

static bool
stop_stream(Oid relid, StopMode mode, int64 timeout_ms)
{
	Datum value = ObjectIdGetDatum(relid);
	bool in_time = end_worker(relid, mode, timeout_ms);

	if (catalog_execute(&unwant_stream, &value, NULL) > 0)
		event_log(relid, "stop", in_time ? NULL : "the worker was terminated");
	session_changed();
	return in_time;
}

static StopMode
stop_mode(const char *mode)
{
	if (strcmp(mode, "commit") == 0)
		return STOP_COMMIT;
	if (strcmp(mode, "abort") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for argument mode: \"%s\"", mode),
						errhint("It is commit or abort.")));
	return STOP_ABORT;
}

/* streamagg.stop(stream, mode, timeout) */
Datum
streamagg_stop(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	StopMode mode = stop_mode(text_to_cstring(PG_GETARG_TEXT_PP(1)));

	require_running_server();
	stream_require_control(relid);
	PG_RETURN_BOOL(stop_stream(relid, mode, session_milliseconds(PG_GETARG_INTERVAL_P(2))));
}

/* streamagg.restart(stream) */
Datum
streamagg_restart(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);

	require_running_server();
	stream_require_control(relid);
	adopt_require();
	(void) stop_stream(relid, STOP_COMMIT, DEFAULT_STOP_TIMEOUT_MS);
	PG_RETURN_BOOL(start_stream(relid));
}

/* ---------------------------------------------------------------- all */

/* The caller's streams that run (or do not), palloc'd. */
static List *
streams_of_caller(bool running)
{
	Datum values[2] = {ObjectIdGetDatum(GetUserId()), BoolGetDatum(running)};

	return catalog_list_oids(&callers_streams, values);
}

/* streamagg.start_all(): streams without an aggregate, and local ones, are left out. */
Datum
streamagg_start_all(PG_FUNCTION_ARGS)
{
	int started = 0;
	ListCell *cell;

	require_running_server();
	adopt_require();
	foreach (cell, streams_of_caller(false))
		if (!stream_server_is_local(GetForeignTable(lfirst_oid(cell))->serverid) &&
			(define_count(lfirst_oid(cell)) > 0 || archive_is_on(lfirst_oid(cell))))
			started += start_stream(lfirst_oid(cell));
	PG_RETURN_INT32(started);
}

/* streamagg.stop_all(): asks all before it waits for any. */
Datum
streamagg_stop_all(PG_FUNCTION_ARGS)
{
	List *running;
	ListCell *cell;

	require_running_server();
	running = streams_of_caller(true);
	foreach (cell, running)
		ask_to_end(lfirst_oid(cell), STOP_COMMIT);
	foreach (cell, running)
		(void) stop_stream(lfirst_oid(cell), STOP_COMMIT, DEFAULT_STOP_TIMEOUT_MS);
	PG_RETURN_INT32(list_length(running));
}
