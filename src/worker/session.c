/*
 * session.c - the end of a transaction that started or stopped streams: holds are let go and the
 * keeper is woken, after commit and rollback alike; it reads from the catalogue what came of it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "session.h"
#include "shared.h"
#include "streamagg.h"

static bool registered = false;
static bool changed = false;
static bool wake = false;
static List *held = NIL;	/* in TopTransactionContext */
static List *started = NIL; /* likewise */
static List *renewed = NIL; /* likewise */

static void
let_go(void)
{
	ListCell *cell;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	foreach (cell, held)
	{
		StreamSlot *slot = shared_find_slot(MyDatabaseId, lfirst_oid(cell));

		if (slot && slot->holders > 0)
			slot->holders--;
	}
	LWLockRelease(shared->lock);
}

static void
renew(void)
{
	ListCell *cell;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	foreach (cell, renewed)
	{
		StreamSlot *slot = shared_find_slot(MyDatabaseId, lfirst_oid(cell));

		if (slot == NULL || slot->pid == 0)
			continue;
		slot->again = true;
		SetLatch(slot->latch);
	}
	LWLockRelease(shared->lock);
}

static void
at_end(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_PREPARE && changed)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot PREPARE a transaction that has started, stopped or dropped "
							   "streams")));
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (held != NIL)
		let_go();
	if (renewed != NIL && event == XACT_EVENT_COMMIT)
		renew();
	if (changed || wake)
		shared_wake_keeper(MyDatabaseId, changed);
	held = NIL;
	started = NIL;
	renewed = NIL;
	changed = false;
	wake = false;
}

static void
watch_end(void)
{
	if (!registered)
		RegisterXactCallback(at_end, NULL);
	registered = true;
}

static void
note_change(void)
{
	if (shared == NULL)
		return; /* a server that does not preload us has no workers to tell */
	watch_end();
	changed = true;
}

void
session_changed(void)
{
	note_change();
}

void
session_wake_keeper(void)
{
	watch_end();
	wake = true;
}

/* Counted once a transaction; a stream without a slot has nothing to hold. */
void
session_hold(Oid stream)
{
	StreamSlot *slot;
	MemoryContext old;

	note_change();
	if (list_member_oid(held, stream))
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_slot(MyDatabaseId, stream);
	if (slot)
		slot->holders++;
	LWLockRelease(shared->lock);
	if (slot == NULL)
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	held = lappend_oid(held, stream);
	MemoryContextSwitchTo(old);
}

void
session_started(Oid stream)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	started = lappend_oid(started, stream);
	MemoryContextSwitchTo(old);
	note_change();
}

void
session_renew(Oid stream)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	renewed = list_append_unique_oid(renewed, stream);
	MemoryContextSwitchTo(old);
	note_change();
}

bool
session_has_started(Oid stream)
{
	return list_member_oid(started, stream);
}

int64
session_milliseconds(const Interval *interval)
{
	if (interval->month != 0 || interval->day < 0 || interval->time < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the timeout must not be negative or have months")));
	return (interval->day * USECS_PER_DAY + interval->time) / 1000;
}
