/*
 * keeper.c - one process a database: starts a worker for each stream that shall run, and starts it
 * again when it ended, with a growing pause after failures.
 *
 * What shall run is read from streamagg.stream_catalog whenever somebody says that it changed.  It
 * ends when nothing shall run.  It runs no user's code.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "catalog.h"
#include "control.h"
#include "keeper.h"
#include "quarantine.h"
#include "settings.h"
#include "shared.h"
#include "stream.h"
#include "streamagg.h"
#include "tend.h"
#include "wanted.h"
#include "watch.h"

#define NAP_MS 60000
#define WATCH_MS 1000

static BackgroundWorkerHandle **handles; /* one a slot; NULL: none started by us */

/* ---------------------------------------------------------------- attach, detach */

static void
detach(int code, Datum database)
{
	DatabaseSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_database(DatumGetObjectId(database));
	if (slot && slot->pid == MyProcPid)
	{
		slot->pid = 0;
		slot->latch = NULL;
		/* after a failure there is still something to do */
		if (code != 0)
			slot->dirty = true;
		else if (!slot->dirty && !slot->blocked)
			slot->database = InvalidOid;
		slot->next_retry = code != 0 ? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 2000) : 0;
	}
	ConditionVariableBroadcast(&shared->ended);
	LWLockRelease(shared->lock);
	shared_wake_launcher();
}

/* False when the database has a keeper, or must not have one now. */
static bool
attach(Oid database)
{
	DatabaseSlot *slot;
	bool attached = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_claim_database(database);
	if (slot && slot->pid == 0 && !slot->blocked)
	{
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		attached = true;
	}
	LWLockRelease(shared->lock);
	if (attached)
		before_shmem_exit(detach, ObjectIdGetDatum(database));
	return attached;
}

/* ---------------------------------------------------------------- what shall run */

/* Of a slot: a process was started that has not ended. */
static bool
has_worker(int number)
{
	return handles[number] != NULL;
}

/* Whether somebody said that it changed, or did what streams may wait for. */
static bool
take_dirty(bool *touched)
{
	DatabaseSlot *slot;
	bool dirty;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_database(MyDatabaseId);
	dirty = slot && slot->dirty;
	*touched = slot && slot->touched;
	if (slot)
		slot->dirty = slot->touched = false;
	LWLockRelease(shared->lock);
	return dirty;
}

/* ---------------------------------------------------------------- workers */

static bool
start_worker(int number)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum(number);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, STREAMAGG_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "streamagg_worker_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "streamagg worker of stream %u",
			 shared->slots[number].stream);
	strlcpy(worker.bgw_type, "streamagg worker", sizeof(worker.bgw_type));
	return RegisterDynamicBackgroundWorker(&worker, &handles[number]);
}

/*
 * A worker that ended without a word, or never came up: one more failure.  next_retry is 0 unless
 * the worker itself has said that it tries again.
 */
static void
notice_end(StreamSlot *slot)
{
	if (slot->again)
		shared_set_state(slot, SLOT_STARTING, NULL, NULL);
	else if (slot->holders == 0 && !slot->stop && slot->next_retry == 0)
		control_back_off(slot, "57P01", *slot->reason ? slot->reason : "the worker ended");
}

/* Notices what ended, starts what is due; the milliseconds until something will be. */
static long
tend_workers(int *active, bool *ended)
{
	long until = NAP_MS;
	TimestampTz now = GetCurrentTimestamp();

	*active = 0;
	*ended = false;
	for (int i = 0; i < shared->count; i++)
	{
		StreamSlot *slot = &shared->slots[i];
		bool due = false;
		pid_t pid;

		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (handles[i] && GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED)
		{
			pfree(handles[i]);
			handles[i] = NULL;
			*ended = true;
			if (slot->state != SLOT_FREE)
				notice_end(slot);
		}
		if (slot->state != SLOT_FREE && slot->database == MyDatabaseId)
		{
			(*active)++;
			due = slot->wanted && handles[i] == NULL && slot->pid == 0 && slot->holders == 0;
			due = due && !*ended && !wanted_wait_for_update(); /* look at the catalogue first */
			if (due && slot->next_retry > now)
			{
				until = Min(until, TimestampDifferenceMilliseconds(now, slot->next_retry) + 1);
				due = false;
			}
		}
		if (due)
		{
			slot->stop = slot->again = false;
			slot->next_retry = 0;
		}
		LWLockRelease(shared->lock);
		if (due)
			watch_started(slot->stream);
		if (due && !start_worker(i))
		{
			LWLockAcquire(shared->lock, LW_EXCLUSIVE);
			control_back_off(slot, "53400", "no worker slot is free: raise max_worker_processes");
			LWLockRelease(shared->lock);
			until = 1000;
		}
	}
	return until;
}

/* Ends the workers before the keeper: nobody would start them again. */
static void
stop_workers(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->count; i++)
	{
		StreamSlot *slot = &shared->slots[i];

		if (slot->state == SLOT_FREE || slot->database != MyDatabaseId)
			continue;
		slot->stop = true;
		if (slot->pid != 0)
			SetLatch(slot->latch);
	}
	LWLockRelease(shared->lock);
}

static bool
is_blocked(void)
{
	DatabaseSlot *slot;
	bool blocked;

	LWLockAcquire(shared->lock, LW_SHARED);
	slot = shared_find_database(MyDatabaseId);
	blocked = slot && slot->blocked;
	LWLockRelease(shared->lock);
	return blocked;
}

static void
free_my_slots(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->count; i++)
		if (shared->slots[i].database == MyDatabaseId && shared->slots[i].pid == 0)
			shared->slots[i].state = SLOT_FREE;
	LWLockRelease(shared->lock);
}

static bool
all_workers_ended(void)
{
	pid_t pid;

	for (int i = 0; i < shared->count; i++)
		if (handles[i] && GetBackgroundWorkerPid(handles[i], &pid) != BGWH_STOPPED)
			return false;
	return true;
}

static void
nap(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* DROP DATABASE or DROP EXTENSION waits for us. */
static void
leave_for_good(void)
{
	stop_workers();
	while (!all_workers_ended())
		nap(20);
	free_my_slots();
	proc_exit(0);
}

/* Housekeeping, in a transaction of its own. */
static void
tidy(void (*task)(void))
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (catalog_is_installed() && !wanted_wait_for_update())
		task();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
}

static void
keep(void)
{
	bool look = true;

	for (;;)
	{
		long until;
		int active;
		bool ended;
		bool touched;

		if (is_blocked())
			leave_for_good();
		look = take_dirty(&touched) || look;
		if (touched)
			watch_touch();
		if (watch_act() || look)
			wanted_look(has_worker);
		until = tend_workers(&active, &ended);
		/* a worker that ended may have done so because its stream shall not run any more */
		look = ended;
		if (ended)
			continue;
		tend_partitions(false);
		if (active == 0 && !watch_holds_keeper())
			return;
		tidy(quarantine_trim_if_due);
		nap(watch_is_needed() ? Min(until, WATCH_MS) : until);
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			look = true;
			tidy(quarantine_trim);
			tend_partitions(true);
		}
	}
}

void
streamagg_keeper_main(Datum database)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!attach(DatumGetObjectId(database)))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	settings_apply();
	watch_begin();
	handles = MemoryContextAllocZero(TopMemoryContext, sizeof(*handles) * shared->count);
	keep();
	proc_exit(0);
}
