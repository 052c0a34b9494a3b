/*
 * shared.c - the shared array: allocation and look-up.  The only user of shared memory.
 *
 * Everything is guarded by one lock, held for a few instructions at a time.  Nothing here is the
 * truth about what shall run: that is streamagg.stream_catalog, which keepers read.
 */
#include "postgres.h"

#include "common/controldata_utils.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "shared.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_workers);

#define WORKERS_COLUMNS 10

Shared *shared = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static Size
slots_size(void)
{
	return MAXALIGN(
		add_size(offsetof(Shared, slots), mul_size(streamagg_max_workers, sizeof(StreamSlot))));
}

static Size
shared_size(void)
{
	return add_size(slots_size(), mul_size(streamagg_max_workers, sizeof(DatabaseSlot)));
}

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(STREAMAGG_NAME, 1);
}

/*
 * In the postmaster: whether what ran before has crashed.  After a crash of one of its processes it
 * comes here again, after its own death pg_control says how it ended.
 */
static bool
has_crashed(void)
{
	static int starts = 0;
	bool valid;
	ControlFileData *control;

	if (starts++ > 0)
		return true;
	control = get_controlfile(DataDir, &valid);
	return valid && (control->state == DB_IN_PRODUCTION || control->state == DB_IN_CRASH_RECOVERY);
}

static void
startup(void)
{
	bool found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(STREAMAGG_NAME, shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, shared_size());
		shared->lock = &GetNamedLWLockTranche(STREAMAGG_NAME)->lock;
		shared->count = streamagg_max_workers;
		shared->epoch = GetCurrentTimestamp();
		shared->crashed = has_crashed();
		shared->databases = (DatabaseSlot *) ((char *) shared + slots_size());
		ConditionVariableInit(&shared->ended);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
shared_request(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

StreamSlot *
shared_find_slot(Oid database, Oid stream)
{
	for (int i = 0; i < shared->count; i++)
	{
		StreamSlot *slot = &shared->slots[i];

		if (slot->state != SLOT_FREE && slot->database == database && slot->stream == stream)
			return slot;
	}
	return NULL;
}

StreamSlot *
shared_claim_slot(Oid database, Oid stream)
{
	StreamSlot *found = shared_find_slot(database, stream);

	for (int i = 0; found == NULL && i < shared->count; i++)
	{
		if (shared->slots[i].state != SLOT_FREE)
			continue;
		found = &shared->slots[i];
		memset(found, 0, sizeof(*found));
		found->database = database;
		found->stream = stream;
		shared_set_state(found, SLOT_STARTING, NULL, NULL);
	}
	return found;
}

DatabaseSlot *
shared_find_database(Oid database)
{
	for (int i = 0; i < shared->count; i++)
		if (shared->databases[i].database == database)
			return &shared->databases[i];
	return NULL;
}

DatabaseSlot *
shared_claim_database(Oid database)
{
	DatabaseSlot *found = shared_find_database(database);

	if (found)
		return found;
	found = shared_find_database(InvalidOid);
	if (found)
	{
		memset(found, 0, sizeof(*found));
		found->database = database;
	}
	return found;
}

void
shared_set_state(StreamSlot *slot, SlotState state, const char *code, const char *reason)
{
	if (slot->state != state)
		slot->since = GetCurrentTimestamp();
	slot->state = state;
	strlcpy(slot->code, code ? code : "", sizeof(slot->code));
	strlcpy(slot->reason, reason ? reason : "", sizeof(slot->reason));
}

void
shared_set_keepers_latch(Oid database)
{
	DatabaseSlot *found = shared_find_database(database);

	if (found && found->pid != 0)
		SetLatch(found->latch);
}

void
shared_wake_launcher(void)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	if (shared->launcher_pid != 0)
		SetLatch(shared->launcher_latch);
	LWLockRelease(shared->lock);
}

/* The keeper, or the launcher where there is none yet, looks at what shall run. */
void
shared_wake_keeper(Oid database, bool touched)
{
	DatabaseSlot *found;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	found = shared_claim_database(database);
	if (found)
	{
		found->dirty = true;
		found->touched = found->touched || touched;
		if (found->pid != 0)
			SetLatch(found->latch);
		else if (shared->launcher_pid != 0)
			SetLatch(shared->launcher_latch);
	}
	LWLockRelease(shared->lock);
	if (!found)
		ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						  errmsg("streams of this database cannot start yet"),
						  errhint("Raise streamagg.max_workers and restart the server.")));
}

/* ---------------------------------------------------------------- streamagg.workers() */

static const char *
state_name(const StreamSlot *slot)
{
	if (slot->holders > 0 && slot->pid == 0)
		return "stopped";
	switch (slot->state)
	{
		case SLOT_RUNNING:
			return "running";
		case SLOT_BACKOFF:
			return "backoff";
		case SLOT_BLOCKED:
			return "blocked";
		default:
			return "starting";
	}
}

static void
put_time(Datum *value, bool *isnull, TimestampTz time)
{
	*isnull = time == 0;
	*value = TimestampTzGetDatum(time);
}

static void
put_slot(ReturnSetInfo *result, const StreamSlot *slot)
{
	Datum values[WORKERS_COLUMNS];
	bool nulls[WORKERS_COLUMNS] = {false};

	values[0] = ObjectIdGetDatum(slot->stream);
	values[1] = Int32GetDatum(slot->pid);
	nulls[1] = slot->pid == 0;
	values[2] = CStringGetTextDatum(state_name(slot));
	put_time(&values[3], &nulls[3], slot->since);
	values[4] = CStringGetTextDatum(slot->reason);
	nulls[4] = *slot->reason == '\0';
	values[5] = CStringGetTextDatum(slot->code);
	nulls[5] = *slot->code == '\0';
	put_time(&values[6], &nulls[6], slot->next_retry);
	values[7] = Int32GetDatum(slot->restarts);
	values[8] = Float8GetDatum(slot->rows_per_second);
	values[9] = Float8GetDatum(slot->busy);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* streamagg.workers(): the slots of this database. */
Datum
streamagg_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	StreamSlot *copy;
	int count;

	InitMaterializedSRF(fcinfo, 0);
	if (shared == NULL)
		return (Datum) 0;
	copy = palloc(sizeof(StreamSlot) * shared->count);
	LWLockAcquire(shared->lock, LW_SHARED);
	count = shared->count;
	memcpy(copy, shared->slots, sizeof(StreamSlot) * count);
	LWLockRelease(shared->lock);
	for (int i = 0; i < count; i++)
		if (copy[i].state != SLOT_FREE && copy[i].database == MyDatabaseId)
			put_slot(result, &copy[i]);
	return (Datum) 0;
}
