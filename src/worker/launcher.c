/*
 * launcher.c - starts a keeper in each database that needs one.
 *
 * At its own start it cannot know which databases hold streams, so it visits each connectable one,
 * one at a time: a keeper that finds nothing to do ends at once.  Later start() announces its
 * database in shared memory.  It opens no database itself.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "launcher.h"
#include "shared.h"
#include "streamagg.h"

#define NAP_MS 60000
#define RETRY_MS 2000

static bool visit_due = true; /* at the start, and when streamagg.enabled is turned on */

void
launcher_register(void)
{
	BackgroundWorker worker;

	if (IsBinaryUpgrade)
		return;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, STREAMAGG_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "streamagg_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "streamagg launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "streamagg launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

static void
detach(int code, Datum argument)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher_pid = 0;
	shared->launcher_latch = NULL;
	LWLockRelease(shared->lock);
}

static void
attach(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher_pid = MyProcPid;
	shared->launcher_latch = MyLatch;
	LWLockRelease(shared->lock);
	before_shmem_exit(detach, 0);
}

/* Sleeps until the latch or the time; serves interrupts and reloads. */
static void
nap(long milliseconds)
{
	bool was_enabled = streamagg_enabled;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		visit_due = visit_due || (streamagg_enabled && !was_enabled);
	}
}

/* ---------------------------------------------------------------- databases */

static List *
connectable_databases(void)
{
	List *found = NIL;
	MemoryContext context = CurrentMemoryContext;
	Relation rel;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		/* -2: DROP DATABASE was interrupted */
		if (!database->datallowconn || database->datistemplate || database->datconnlimit == -2)
			continue;
		old = MemoryContextSwitchTo(context);
		found = lappend_oid(found, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return found;
}

/* ---------------------------------------------------------------- keepers */

static BackgroundWorkerHandle *
start_keeper(Oid database)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, STREAMAGG_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "streamagg_keeper_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "streamagg keeper of database %u", database);
	strlcpy(worker.bgw_type, "streamagg keeper", sizeof(worker.bgw_type));
	if (RegisterDynamicBackgroundWorker(&worker, &handle))
		return handle;
	ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					  errmsg("no worker slot is free for a streamagg keeper"),
					  errhint("Raise max_worker_processes.")));
	return NULL;
}

/* A database whose keeper is due at that time, or InvalidOid. */
static Oid
next_due(TimestampTz now)
{
	Oid found = InvalidOid;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < shared->count && !OidIsValid(found); i++)
	{
		const DatabaseSlot *slot = &shared->databases[i];

		if (OidIsValid(slot->database) && slot->dirty && slot->pid == 0 && !slot->blocked &&
			slot->next_retry <= now)
			found = slot->database;
	}
	LWLockRelease(shared->lock);
	return found;
}

/*
 * Waits until the keeper has attached or ended.  Until then its database must not be started
 * twice; what it could not do is tried again later.
 */
static void
wait_for_keeper(Oid database, BackgroundWorkerHandle *handle)
{
	bool settled = false;

	while (!settled)
	{
		pid_t pid;
		bool ended = handle == NULL || GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
		DatabaseSlot *slot;

		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		slot = shared_find_database(database);
		settled = ended || slot == NULL || slot->pid != 0;
		if (slot && slot->pid == 0 && ended)
			slot->next_retry = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_MS);
		LWLockRelease(shared->lock);
		if (!settled)
			nap(100);
	}
}

static void
forget_database(Oid database)
{
	DatabaseSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_database(database);
	if (slot && slot->pid == 0)
		slot->database = InvalidOid;
	LWLockRelease(shared->lock);
}

static void
start_due_keepers(void)
{
	for (;;)
	{
		Oid database = streamagg_enabled ? next_due(GetCurrentTimestamp()) : InvalidOid;

		if (!OidIsValid(database))
			return;
		/* dropped meanwhile, perhaps */
		if (!list_member_oid(connectable_databases(), database))
		{
			forget_database(database);
			continue;
		}
		wait_for_keeper(database, start_keeper(database));
	}
}

static void
visit_all_databases(void)
{
	ListCell *cell;

	visit_due = false;
	foreach (cell, connectable_databases())
	{
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (shared_claim_database(lfirst_oid(cell)))
			shared_find_database(lfirst_oid(cell))->dirty = true;
		LWLockRelease(shared->lock);
		start_due_keepers();
	}
}

void
streamagg_launcher_main(Datum argument)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	attach();
	for (;;)
	{
		if (visit_due)
			visit_all_databases();
		start_due_keepers();
		nap(next_due(DT_NOEND) == InvalidOid ? NAP_MS : RETRY_MS);
	}
}
