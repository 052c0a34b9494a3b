/*
 * wanted.c - the streams of a database that shall run, from the catalogue into the shared slots.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "control.h"
#include "shared.h"
#include "streamagg.h"
#include "wanted.h"
#include "watch.h"

static bool updating = false; /* library and SQL objects are of two versions: no worker runs */

static CatalogStatement wanted_streams = {
	"SELECT s.stream, c.relowner, r.rolcanlogin AND pg_catalog.has_database_privilege(c.relowner,"
	" (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname ="
	" pg_catalog.current_database()), 'CONNECT'), r.rolname FROM streamagg.stream_catalog s"
	" JOIN pg_catalog.pg_class c ON c.oid = s.stream"
	" JOIN pg_catalog.pg_authid r ON r.oid = c.relowner"
	" WHERE s.wanted AND NOT s.halted AND s.identity = $1 ORDER BY 1",
	1,
	{TEXTOID},
	NULL};

/* Marks the slots of streams that shall not run as free; workers end by stop() or by themselves. */
static void
release_unwanted(Oid *wanted, int count, bool (*has_worker)(int number))
{
	for (int i = 0; i < shared->count; i++)
	{
		StreamSlot *slot = &shared->slots[i];
		bool found = false;

		if (slot->state == SLOT_FREE || slot->database != MyDatabaseId || slot->holders > 0)
			continue;
		for (int j = 0; j < count && !found; j++)
			found = wanted[j] == slot->stream;
		if (found)
			continue;
		slot->wanted = false;
		if (slot->pid == 0 && !has_worker(i))
			slot->state = SLOT_FREE;
		else
		{
			slot->stop = true;
			if (slot->pid != 0)
				SetLatch(slot->latch);
		}
	}
}

static void
claim_wanted(Oid *wanted, Oid *owners, int count)
{
	for (int i = 0; i < count; i++)
	{
		StreamSlot *slot = shared_claim_slot(MyDatabaseId, wanted[i]);

		if (slot)
		{
			slot->owner = owners[i];
			slot->wanted = true;
		}
		else
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("stream %u cannot start: streamagg.max_workers are in use", wanted[i]),
					 errhint("Raise streamagg.max_workers and restart the server.")));
	}
}

typedef struct Refused
{
	Oid stream;
	char *owner;
} Refused;

/* Their workers connect as the owner: without LOGIN or CONNECT none would come up. */
static void
halt_refused(const List *refused)
{
	ListCell *cell;

	foreach (cell, refused)
	{
		const Refused *one = lfirst(cell);

		control_halt(one->stream, "42501",
					 psprintf("the stream's owner, role \"%s\", may not log in or not connect to "
							  "this database any more",
							  one->owner));
	}
}

/* Streams that shall run and their owners; those that cannot go to *refused. */
static int
read_wanted(Oid **wanted, Oid **owners, List **refused)
{
	MemoryContext context = CurrentMemoryContext;
	Datum identity = CStringGetTextDatum(control_identity());
	CatalogScope scope;
	bool isnull;
	uint64 rows;
	int count = 0;

	catalog_enter(&scope);
	rows = catalog_run(&wanted_streams, &identity, NULL);
	*wanted = MemoryContextAlloc(context, sizeof(Oid) * Max(rows, 1));
	*owners = MemoryContextAlloc(context, sizeof(Oid) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Refused *refusal;

		(*wanted)[count] = DatumGetObjectId(catalog_value(i, 1, &isnull));
		(*owners)[count] = DatumGetObjectId(catalog_value(i, 2, &isnull));
		if (DatumGetBool(catalog_value(i, 3, &isnull)))
			count++;
		else
		{
			refusal = palloc(sizeof(Refused));
			refusal->stream = (*wanted)[count];
			refusal->owner = pstrdup(catalog_string(i, 4));
			*refused = lappend(*refused, refusal);
		}
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	return count;
}

/* Until ALTER EXTENSION UPDATE, which ends this keeper, or a restart with another library. */
static void
wait_for_update(const char *problem)
{
	for (int i = 0; i < shared->count; i++)
	{
		StreamSlot *slot = &shared->slots[i];

		if (slot->state != SLOT_FREE && slot->database == MyDatabaseId && slot->pid == 0)
			shared_set_state(slot, SLOT_BACKOFF, "55000", problem);
	}
}

void
wanted_look(bool (*has_worker)(int number))
{
	Oid *wanted = NULL;
	Oid *owners = NULL;
	List *refused = NIL;
	const char *problem = NULL;
	int count = 0;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (catalog_is_installed() && streamagg_enabled)
	{
		problem = catalog_version_problem();
		count = read_wanted(&wanted, &owners, &refused);
		if (problem == NULL)
		{
			halt_refused(refused);
			watch_load(control_identity());
		}
		else if (!updating)
			ereport(LOG, (errmsg("streams wait: %s", problem),
						  errhint("Run ALTER EXTENSION streamagg UPDATE.")));
	}
	updating = problem != NULL;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	release_unwanted(wanted, count, has_worker);
	claim_wanted(wanted, owners, count);
	if (updating)
		wait_for_update(problem);
	LWLockRelease(shared->lock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
}

bool
wanted_wait_for_update(void)
{
	return updating;
}
