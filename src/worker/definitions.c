/*
 * definitions.c - loads what a worker works by, and again when the catalogue changes.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "aggregate/close_hook.h"
#include "aggregate/run.h"
#include "definitions.h"
#include "ingest.h"
#include "key.h"

static Definitions *watched = NULL;
static bool stale = true;

/* The stream, its archive, or a state table: whose that is, and whether it may be written, is asked again. */
static void
on_relation_change(Datum argument, Oid relid)
{
	ListCell *cell;

	if (relid == InvalidOid || relid == watched->slot->stream)
		stale = true;
	foreach (cell, watched->aggregates)
		if (((Aggregate *) lfirst(cell))->state == relid)
			stale = true;
	if (archive_is(watched->archive, relid))
		stale = true;
}

void
definitions_watch(Definitions *definitions, StreamSlot *slot)
{
	definitions->slot = slot;
	definitions->context =
		AllocSetContextCreate(TopMemoryContext, "streamagg definitions", ALLOCSET_DEFAULT_SIZES);
	watched = definitions;
	CacheRegisterRelcacheCallback(on_relation_change, 0);
}

bool
definitions_are_stale(void)
{
	return stale;
}

void
definitions_load(Definitions *definitions)
{
	MemoryContext old;

	if (!stale)
		return;
	stale = false;
	run_free(definitions->aggregates);
	archive_free(definitions->archive);
	definitions->archive = NULL;
	definitions->aggregates = NIL; /* before anything that lets the callback look at it */
	stream_free(definitions->stream);
	definitions->stream = NULL;
	MemoryContextReset(definitions->context);
	definitions->stream = stream_load(definitions->slot->stream, TopMemoryContext);
	if (definitions->stream->owner != GetUserId())
	{
		definitions->slot->again = true; /* as the new owner */
		proc_exit(0);
	}
	key_load(definitions->stream);
	old = MemoryContextSwitchTo(definitions->context);
	definitions->aggregates = run_load(definitions->slot->stream);
	definitions->archive = archive_load(definitions->stream);
	MemoryContextSwitchTo(old);
	ingest_plan(definitions->stream, definitions->aggregates);
}

void
definitions_lock(Definitions *definitions)
{
	ListCell *cell;

	/* this also takes in changes until now */
	LockRelationOid(definitions->slot->stream, AccessShareLock);
	close_hook_lock_views(definitions->aggregates);
	foreach (cell, definitions->aggregates)
		LockRelationOid(((Aggregate *) lfirst(cell))->state, RowExclusiveLock);
	if (stale && get_rel_name(definitions->slot->stream) == NULL)
		proc_exit(0);
	definitions_load(definitions);
}
