/*
 * watch.c - sees that the definitions have changed which made a stream stop.
 *
 * The keeper gets the invalidation messages of every change of a catalogue, whoever makes it.  Those
 * of the stream's server, user mappings, owner, tables and what its aggregates join are changes that it
 * waits for; those of other roles, functions and schemas may be, so they are given a try now and then.
 * After a refused login only server and mappings count: a broker locks out who tries too often.
 *
 * A flag is taken down when a worker starts, not when it fails: no change is missed in between.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "control.h"
#include "shared.h"
#include "sqlstate.h"
#include "streamagg.h"
#include "watch.h"

#define SHORTEST_PAUSE_MS 2000
#define LONGEST_PAUSE_MS 60000

typedef struct Watch
{
	Oid stream;
	bool halted;		 /* for something that a definition cures */
	bool authentication; /* refused by a broker */
	uint32 server_hash;	 /* of the catalogue rows of the connection */
	uint32 mapping_hashes[2];
	uint32 owner_hash;
	int nrelations;
	Oid *relations;	   /* the stream, states, what queries join */
	bool reconnect;	   /* server or mappings have changed */
	bool changed;	   /* they, the owner or a relation */
	bool maybe;		   /* something else */
	TimestampTz tried; /* when a worker was started last */
	int64 pause_ms;	   /* before the next try for something else */
} Watch;

static MemoryContext context = NULL;
static Watch *watches = NULL;
static int nwatches = 0;

static CatalogStatement read_dependencies = {
	"SELECT s.stream, c.relowner, t.ftserver, s.halted, coalesce(s.code, ''),"
	" ARRAY(SELECT a.state_table::oid FROM streamagg.aggregate_catalog a WHERE a.stream = s.stream"
	" UNION SELECT t.side_table::oid FROM streamagg.side_tables t"
	" JOIN streamagg.aggregate_catalog a ON a.state_table = t.state_table WHERE a.stream = s.stream"
	" UNION SELECT d.refobjid FROM streamagg.aggregate_catalog a"
	" JOIN pg_catalog.pg_rewrite r ON r.ev_class = a.definition"
	" JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass"
	" AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass"
	" WHERE a.stream = s.stream UNION SELECT s.stream::oid)"
	" FROM streamagg.stream_catalog s JOIN pg_catalog.pg_class c ON c.oid = s.stream"
	" JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = s.stream"
	" WHERE s.wanted AND s.identity = $1",
	1,
	{TEXTOID},
	NULL};

/* ---------------------------------------------------------------- changes */

static void
on_relation_change(Datum argument, Oid relid)
{
	for (int i = 0; i < nwatches; i++)
	{
		Watch *watch = &watches[i];

		watch->maybe = watch->maybe || relid == InvalidOid;
		for (int j = 0; j < watch->nrelations && relid != InvalidOid; j++)
			watch->changed = watch->changed || watch->relations[j] == relid;
	}
}

/* hash 0: anything may have changed */
static void
on_catalog_change(Datum argument, int cache, uint32 hash)
{
	for (int i = 0; i < nwatches; i++)
	{
		Watch *watch = &watches[i];
		bool hit = false;

		if (cache == FOREIGNSERVEROID)
			hit = hash == watch->server_hash;
		else if (cache == USERMAPPINGUSERSERVER)
			hit = hash == watch->mapping_hashes[0] || hash == watch->mapping_hashes[1];
		else if (cache == AUTHOID)
			hit = hash == watch->owner_hash;
		watch->changed = watch->changed || hit;
		watch->reconnect = watch->reconnect || (hit && cache != AUTHOID);
		watch->maybe = watch->maybe || !hit;
	}
}

void
watch_begin(void)
{
	static const int caches[] = {FOREIGNSERVEROID, USERMAPPINGUSERSERVER, AUTHOID, AUTHMEMROLEMEM,
								 DATABASEOID,	   NAMESPACEOID,		  PROCOID, TYPEOID};

	CacheRegisterRelcacheCallback(on_relation_change, 0);
	for (size_t i = 0; i < lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], on_catalog_change, 0);
}

void
watch_touch(void)
{
	for (int i = 0; i < nwatches; i++)
		watches[i].maybe = true;
}

/* ---------------------------------------------------------------- what to watch */

static Watch *
find(Oid stream)
{
	for (int i = 0; i < nwatches; i++)
		if (watches[i].stream == stream)
			return &watches[i];
	return NULL;
}

static void
read_relations(Watch *watch, ArrayType *array)
{
	watch->nrelations = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	watch->relations = palloc(sizeof(Oid) * Max(watch->nrelations, 1));
	memcpy(watch->relations, ARR_DATA_PTR(array), sizeof(Oid) * watch->nrelations);
}

static void
read_watch(Watch *watch, uint64 row)
{
	bool isnull;
	Oid owner = DatumGetObjectId(catalog_value(row, 2, &isnull));
	Datum server = catalog_value(row, 3, &isnull);
	const char *code = catalog_string(row, 5);

	watch->stream = DatumGetObjectId(catalog_value(row, 1, &isnull));
	watch->halted = DatumGetBool(catalog_value(row, 4, &isnull)) && sqlstate_text_is_curable(code);
	watch->authentication = watch->halted && strncmp(code, "28", 2) == 0;
	watch->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, server);
	watch->mapping_hashes[0] =
		GetSysCacheHashValue2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(owner), server);
	watch->mapping_hashes[1] =
		GetSysCacheHashValue2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid), server);
	watch->owner_hash = GetSysCacheHashValue1(AUTHOID, ObjectIdGetDatum(owner));
	read_relations(watch, DatumGetArrayTypeP(catalog_value(row, 6, &isnull)));
	watch->pause_ms = SHORTEST_PAUSE_MS;
}

static void
keep_flags(Watch *watch, const Watch *before)
{
	watch->reconnect = before->reconnect;
	watch->changed = before->changed;
	watch->maybe = before->maybe;
	watch->tried = before->tried;
	watch->pause_ms = before->pause_ms;
}

void
watch_load(const char *identity)
{
	MemoryContext fresh =
		AllocSetContextCreate(TopMemoryContext, "streamagg watches", ALLOCSET_SMALL_SIZES);
	Datum value = CStringGetTextDatum(identity);
	CatalogScope scope;
	Watch *loaded;
	uint64 rows;

	catalog_enter(&scope);
	rows = catalog_run(&read_dependencies, &value, NULL);
	loaded = MemoryContextAllocZero(fresh, sizeof(Watch) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(fresh);

		read_watch(&loaded[i], i);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	/* only now: until here callbacks have marked the old ones */
	for (uint64 i = 0; i < rows; i++)
		if (find(loaded[i].stream))
			keep_flags(&loaded[i], find(loaded[i].stream));
	watches = loaded;
	nwatches = (int) rows;
	if (context)
		MemoryContextDelete(context);
	context = fresh;
}

/* ---------------------------------------------------------------- acting on it */

/* Pauses for what a definition may cure; the lock is held. */
static bool
is_pausing(const StreamSlot *slot)
{
	if (slot == NULL || slot->pid != 0 || slot->next_retry == 0)
		return false;
	return slot->state == SLOT_BLOCKED ||
		   (slot->state == SLOT_BACKOFF && sqlstate_text_is_curable(slot->code));
}

static bool
waits(const Watch *watch)
{
	bool pausing;

	if (watch->halted)
		return true;
	LWLockAcquire(shared->lock, LW_SHARED);
	pausing = is_pausing(shared_find_slot(MyDatabaseId, watch->stream));
	LWLockRelease(shared->lock);
	return pausing;
}

void
watch_started(Oid stream)
{
	Watch *watch = find(stream);
	TimestampTz now = GetCurrentTimestamp();

	if (watch == NULL)
		return;
	if (TimestampDifferenceExceeds(watch->tried, now, 5 * LONGEST_PAUSE_MS))
		watch->pause_ms = SHORTEST_PAUSE_MS;
	watch->tried = now;
	watch->reconnect = watch->changed = watch->maybe = false;
}

static bool
is_due(const Watch *watch)
{
	TimestampTz now = GetCurrentTimestamp();

	if (watch->authentication ? watch->reconnect : watch->changed)
		return TimestampDifferenceExceeds(watch->tried, now, SHORTEST_PAUSE_MS / 2);
	return watch->maybe && !watch->authentication &&
		   TimestampDifferenceExceeds(watch->tried, now, watch->pause_ms);
}

static void
lift(Oid stream)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) control_lift(stream);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
}

static void
cut_pause(Oid stream)
{
	StreamSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_slot(MyDatabaseId, stream);
	if (is_pausing(slot))
		slot->next_retry = GetCurrentTimestamp();
	LWLockRelease(shared->lock);
}

bool
watch_act(void)
{
	bool acted = false;

	AcceptInvalidationMessages();
	for (int i = 0; i < nwatches; i++)
	{
		Watch *watch = &watches[i];
		Oid stream = watch->stream;
		bool halted = watch->halted;

		if (!is_due(watch) || !waits(watch))
			continue;
		watch->pause_ms =
			watch->changed ? SHORTEST_PAUSE_MS : Min(watch->pause_ms * 2, LONGEST_PAUSE_MS);
		watch->tried = GetCurrentTimestamp();
		watch->reconnect = watch->changed = watch->maybe = false;
		acted = true;
		if (halted)
			lift(stream);
		else
			cut_pause(stream);
	}
	return acted;
}

bool
watch_is_needed(void)
{
	for (int i = 0; i < nwatches; i++)
		if (waits(&watches[i]))
			return true;
	return false;
}

bool
watch_holds_keeper(void)
{
	for (int i = 0; i < nwatches; i++)
		if (watches[i].halted)
			return true;
	return false;
}
