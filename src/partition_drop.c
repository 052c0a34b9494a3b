/*
 * partition_drop.c - how old partitions go, of archives and of aggregates with a retention.
 *
 * One goes in three steps, each a transaction: it is noted, detached CONCURRENTLY, which blocks
 * neither readers nor batches, and dropped.  The note says where to go on after a crash.  The keeper
 * waits a moment for who reads the table (worker/tend.c), and comes back with its next round: it has
 * workers to look after.  It runs no user's code: each step is the stream's owner's, over relations
 * found anew.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "aggregate/run.h"
#include "catalog.h"
#include "event.h"
#include "partition.h"
#include "partition_drop.h"
#include "stream.h"
#include "streamagg.h"

/* One at a time, so that what is noted is what is being detached. */
static CatalogStatement note_expired = {
	"INSERT INTO streamagg.expired_partitions (partition, parent) SELECT $1, $2"
	" WHERE NOT EXISTS (SELECT FROM streamagg.expired_partitions e WHERE e.parent = $2)",
	2,
	{REGCLASSOID, REGCLASSOID},
	NULL};

static CatalogStatement find_expired = {
	"SELECT partition FROM streamagg.expired_partitions WHERE parent = $1 LIMIT 1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement forget_expired = {
	"DELETE FROM streamagg.expired_partitions WHERE partition = $1", 1, {REGCLASSOID}, NULL};

/* ---------------------------------------------------------------- one step, one transaction */

bool
partition_step(void (*body)(PartitionExpiry *), PartitionExpiry *expiry)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;
	Oid user;
	int security;

	GetUserIdAndSecContext(&user, &security);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		body(expiry);
		if (ActiveSnapshotSet())
			PopActiveSnapshot();
		CommitTransactionCommand();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		SetUserIdAndSecContext(user, security);
		/* somebody reads it: later */
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ereport(WARNING, (errcode(error->sqlerrcode),
							  errmsg("partitions that go or come: %s", error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, security);
	MemoryContextSwitchTo(context);
	return done;
}

bool
partition_hold(Oid relation)
{
	Relation rel = try_relation_open(relation, AccessShareLock);

	if (rel)
		relation_close(rel, NoLock);
	return rel != NULL;
}

List *
partition_read_parents(CatalogStatement *statement, const Datum *values,
					   const PartitionRules *rules)
{
	MemoryContext context = CurrentMemoryContext;
	List *found = NIL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (catalog_is_installed())
	{
		CatalogScope scope;
		uint64 rows;
		bool isnull;

		catalog_enter(&scope);
		rows = catalog_run(statement, values, NULL);
		for (uint64 i = 0; i < rows; i++)
		{
			PartitionExpiry *expiry = MemoryContextAllocZero(context, sizeof(PartitionExpiry));
			MemoryContext old = MemoryContextSwitchTo(context);

			expiry->rules = rules;
			expiry->parent = DatumGetObjectId(catalog_value(i, 1, &isnull));
			expiry->stream = DatumGetObjectId(catalog_value(i, 2, &isnull));
			found = lappend(found, expiry);
			MemoryContextSwitchTo(old);
		}
		catalog_leave(&scope);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return found;
}

/* ---------------------------------------------------------------- the steps */

static Oid
noted_partition(Oid parent)
{
	Datum value = ObjectIdGetDatum(parent);

	return catalog_find_oid(&find_expired, &value);
}

/* The one that a crash or a reader has left in the middle, or the oldest that is old enough. */
static void
note(PartitionExpiry *expiry)
{
	TimestampTz before;
	List *old;
	Datum values[2];

	expiry->partition = noted_partition(expiry->parent);
	if (OidIsValid(expiry->partition) || !partition_hold(expiry->stream) ||
		!partition_hold(expiry->parent) || !expiry->rules->horizon(expiry, &before))
		return;
	old = partition_before(expiry->parent, before);
	if (old == NIL)
		return;
	values[0] = ObjectIdGetDatum(linitial_oid(old));
	values[1] = ObjectIdGetDatum(expiry->parent);
	catalog_execute(&note_expired, values, NULL);
	expiry->partition = linitial_oid(old);
	if (expiry->rules->noted)
		expiry->rules->noted(expiry);
}

/*
 * DETACH … CONCURRENTLY runs transactions of its own, so it is not for SPI; nor for ProcessUtility,
 * whose event triggers would find no snapshot, and may be anybody's.
 */
static void
alter_table(const char *sql)
{
	RawStmt *raw = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	AlterTableStmt *statement = castNode(AlterTableStmt, raw->stmt);
	LOCKMODE mode = AlterTableGetLockLevel(statement->cmds);
	AlterTableUtilityContext context = {.queryString = sql};

	context.relid = AlterTableLookupRelation(statement, mode);
	AlterTable(statement, mode, &context);
}

/* True while it is a partition of its parent; *pending: half detached. */
static bool
is_partition(const PartitionExpiry *expiry, bool *pending)
{
	*pending = false;
	if (!get_rel_relispartition(expiry->partition) ||
		get_partition_parent(expiry->partition, true) != expiry->parent)
		return false;
	*pending = PartitionHasPendingDetach(expiry->partition);
	return true;
}

/*
 * The user stays the owner's over the statement's transactions, with no more around it: a security
 * context must not outlive a transaction.  Names are qualified, and none is looked up otherwise.
 */
static void
detach(PartitionExpiry *expiry)
{
	bool pending;
	char *sql;

	if (!is_partition(expiry, &pending))
		return;
	sql = psprintf("ALTER TABLE %s DETACH PARTITION %s %s", stream_name(expiry->parent),
				   stream_name(expiry->partition), pending ? "FINALIZE" : "CONCURRENTLY");
	sql = MemoryContextStrdup(PortalContext, sql);
	SetUserIdAndSecContext(stream_owner(expiry->parent), 0);
	MemoryContextSwitchTo(PortalContext);
	alter_table(sql);
}

/* Only what was a partition goes: a note may have come with a dump and mean another table. */
static void
drop(PartitionExpiry *expiry)
{
	Datum value = ObjectIdGetDatum(expiry->partition);
	OwnerScope scope;
	bool pending;
	char *name;

	if (is_partition(expiry, &pending))
		return;
	if (get_rel_relkind(expiry->partition) == RELKIND_RELATION &&
		!get_rel_relispartition(expiry->partition) && expiry->rules->is_ours(expiry))
	{
		name = stream_name(expiry->partition);
		run_enter_owner(expiry->partition, &scope);
		if (SPI_connect() != SPI_OK_CONNECT ||
			SPI_execute(psprintf("DROP TABLE %s", name), false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not drop %s", name);
		SPI_finish();
		run_leave_owner(&scope);
		event_log(expiry->stream, expiry->rules->event, name);
	}
	catalog_execute(&forget_expired, &value, NULL);
}

/* ---------------------------------------------------------------- all of it */

void
partition_drop_expired(PartitionExpiry *expiry)
{
	while (partition_step(note, expiry) && OidIsValid(expiry->partition))
	{
		CHECK_FOR_INTERRUPTS();
		if (!partition_step(detach, expiry) || !partition_step(drop, expiry))
			return;
	}
}

void
partition_drop_rest(PartitionExpiry *expiry)
{
	Datum value;

	expiry->partition = noted_partition(expiry->parent);
	if (!OidIsValid(expiry->partition))
		return;
	drop(expiry);
	value = ObjectIdGetDatum(expiry->partition);
	catalog_execute(&forget_expired, &value, NULL);
}
