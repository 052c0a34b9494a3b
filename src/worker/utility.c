/*
 * utility.c - DROP DATABASE, DROP EXTENSION and ALTER EXTENSION UPDATE wait for the workers to end;
 * ALTER SERVER does not take TLS away.
 *
 * Event triggers do not fire for databases, and not before an extension is dropped, and a validator
 * does not see what an option was; so this is a ProcessUtility hook.  Ownership is checked first:
 * nobody may stop streams by a command that he is not allowed to run.  After a failed command the
 * streams run again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "tcop/utility.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "aggregate/define.h"
#include "catalog.h"
#include "compat.h"
#include "kafka/config.h"
#include "kafka/security.h"
#include "shared.h"
#include "streamagg.h"
#include "utility.h"

#define PATIENCE_MS 10000

static ProcessUtility_hook_type previous_hook = NULL;
static Oid blocked = InvalidOid; /* by this transaction */

/* ---------------------------------------------------------------- blocking a database */

static void
unblock(Oid database, bool is_dropped)
{
	DatabaseSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_find_database(database);
	if (slot)
		slot->blocked = false;
	if (slot && is_dropped)
		slot->database = InvalidOid;
	LWLockRelease(shared->lock);
}

/* Commit: what was dropped has no streams, what was not has; the keeper finds out. */
static void
at_end(XactEvent event, void *argument)
{
	if (!OidIsValid(blocked) || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	unblock(blocked, event == XACT_EVENT_COMMIT && blocked != MyDatabaseId);
	if (event == XACT_EVENT_ABORT || blocked == MyDatabaseId)
		shared_wake_keeper(blocked, true);
	blocked = InvalidOid;
}

static bool
is_quiet(Oid database)
{
	DatabaseSlot *slot;
	bool quiet;

	LWLockAcquire(shared->lock, LW_SHARED);
	slot = shared_find_database(database);
	quiet = slot == NULL || slot->pid == 0;
	for (int i = 0; quiet && i < shared->count; i++)
		quiet = shared->slots[i].state == SLOT_FREE || shared->slots[i].database != database ||
				shared->slots[i].pid == 0;
	LWLockRelease(shared->lock);
	return quiet;
}

static void
wait_for_quiet(Oid database)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);

	ConditionVariablePrepareToSleep(&shared->ended);
	while (!is_quiet(database) && GetCurrentTimestamp() < until)
		ConditionVariableTimedSleep(&shared->ended, 200, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	if (!is_quiet(database))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("the streams of the database did not end in time"),
						errhint("Stop them with streamagg.stop_all() first.")));
}

/* Ends keeper and workers of the database and keeps them ended until the transaction is over. */
static void
block(Oid database)
{
	DatabaseSlot *slot;
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(at_end, NULL);
	registered = true;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = shared_claim_database(database);
	if (slot)
	{
		slot->blocked = true;
		if (slot->pid != 0)
			SetLatch(slot->latch);
	}
	LWLockRelease(shared->lock);
	blocked = database;
	wait_for_quiet(database);
}

/* ---------------------------------------------------------------- commands */

static void
before_drop_database(const DropdbStmt *statement)
{
	Oid database = get_database_oid(statement->dbname, true);

	if (OidIsValid(database) && database != MyDatabaseId &&
		compat_owns_database(database, GetUserId()))
		block(database);
}

static bool
names_extension(const DropStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->objects)
		if (strcmp(strVal(lfirst(cell)), STREAMAGG_NAME) == 0)
			return true;
	return false;
}

/* The schema has the extension's name, and takes it along. */
static bool
drops_extension(const DropStmt *statement)
{
	return statement->removeType == OBJECT_EXTENSION || statement->removeType == OBJECT_SCHEMA;
}

static void
before_drop_extension(const DropStmt *statement)
{
	Oid extension = get_extension_oid(STREAMAGG_NAME, true);

	if (!OidIsValid(extension) || !names_extension(statement) ||
		!compat_owns_extension(extension, GetUserId()))
		return;
	block(MyDatabaseId);
	if (statement->behavior == DROP_CASCADE)
		define_keep_states();
}

/* No batch runs while the tables under it change; afterwards the keeper looks at the versions. */
static void
before_update_extension(const AlterExtensionStmt *statement)
{
	Oid extension = get_extension_oid(STREAMAGG_NAME, true);

	if (strcmp(statement->extname, STREAMAGG_NAME) == 0 && OidIsValid(extension) &&
		compat_owns_extension(extension, GetUserId()))
		block(MyDatabaseId);
}

/* What TLS protected so far: the server as it is, NULL where everything is allowed. */
static ForeignServer *
before_alter_server(const AlterForeignServerStmt *statement)
{
	ForeignServer *server;

	if (superuser() || statement->options == NIL)
		return NULL;
	server = GetForeignServerByName(statement->servername, true);
	if (server == NULL ||
		strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, STREAMAGG_WRAPPER) != 0)
		return NULL;
	return server;
}

static void
after_alter_server(const ForeignServer *before)
{
	CommandCounterIncrement();
	kafka_security_refuse_downgrade(
		before->servername, kafka_server_options(before->options),
		kafka_server_options(GetForeignServer(before->serverid)->options));
}

static void
process_utility(PlannedStmt *planned, const char *sql, bool read_only,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				DestReceiver *destination, QueryCompletion *completion)
{
	Node *statement = planned->utilityStmt;
	ForeignServer *altered = NULL;

	if (shared && IsA(statement, DropdbStmt))
		before_drop_database((DropdbStmt *) statement);
	else if (shared && IsA(statement, DropStmt) && drops_extension((DropStmt *) statement))
		before_drop_extension((DropStmt *) statement);
	else if (shared && IsA(statement, AlterExtensionStmt))
		before_update_extension((AlterExtensionStmt *) statement);
	else if (IsA(statement, AlterForeignServerStmt))
		altered = before_alter_server((AlterForeignServerStmt *) statement);
	if (previous_hook)
		previous_hook(planned, sql, read_only, context, params, environment, destination,
					  completion);
	else
		standard_ProcessUtility(planned, sql, read_only, context, params, environment, destination,
								completion);
	if (altered)
		after_alter_server(altered);
}

void
utility_install_hook(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
