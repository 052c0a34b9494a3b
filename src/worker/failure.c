/*
 * failure.c - error classes.
 *
 * Transient ones (connection, resources, serialization, cancel) are tried again with a growing
 * pause; unknown ones twice; everything else needs a person, so the stream halts with its reason.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/elog.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "control.h"
#include "failure.h"
#include "streamagg.h"

#define TRIES_OF_UNKNOWN 2

static bool
is_in(int code, const int *classes, int count)
{
	for (int i = 0; i < count; i++)
		if (ERRCODE_TO_CATEGORY(code) == ERRCODE_TO_CATEGORY(classes[i]))
			return true;
	return false;
}

static bool
is_transient(int code)
{
	static const int classes[] = {ERRCODE_CONNECTION_EXCEPTION, ERRCODE_TRANSACTION_ROLLBACK,
								  ERRCODE_INSUFFICIENT_RESOURCES, ERRCODE_OPERATOR_INTERVENTION,
								  ERRCODE_IO_ERROR};

	return code == ERRCODE_LOCK_NOT_AVAILABLE || is_in(code, classes, lengthof(classes));
}

/* Messages of these classes may quote values: only their code is told. */
static bool
may_quote_values(int code)
{
	static const int classes[] = {ERRCODE_DATA_EXCEPTION,
								  ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION,
								  ERRCODE_PROGRAM_LIMIT_EXCEEDED,
								  ERRCODE_PLPGSQL_ERROR,
								  ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
								  ERRCODE_TRIGGERED_ACTION_EXCEPTION};

	return is_in(code, classes, lengthof(classes));
}

/* Errors that streamagg words itself hold names only; they carry this mark. */
static bool
is_ours(const ErrorData *error)
{
	return error->schema_name && strcmp(error->schema_name, STREAMAGG_NAME) == 0;
}

static char *
safe_reason(const ErrorData *error)
{
	if (may_quote_values(error->sqlerrcode) && !is_ours(error))
		return psprintf("an expression of the stream or its aggregates failed with SQLSTATE %s",
						unpack_sql_state(error->sqlerrcode));
	return psprintf("%s%s%s", error->message, error->hint ? "; hint: " : "",
					error->hint ? error->hint : "");
}

static void
halt(Oid stream, const char *code, const char *reason)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	control_halt(stream, code, reason);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

void
failure_handle(StreamSlot *slot, const char *stream)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "streamagg failure", ALLOCSET_SMALL_SIZES);
	ErrorData *error;
	const char *code;
	char *reason;
	bool again;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	code = pstrdup(unpack_sql_state(error->sqlerrcode));
	reason = safe_reason(error);
	again = is_transient(error->sqlerrcode) || (ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
													ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) &&
												slot->failures < TRIES_OF_UNKNOWN);
	ereport(LOG, (errmsg("stream \"%s\" %s: %s", stream, again ? "tries again" : "halts", reason),
				  errdetail("SQLSTATE %s at %s:%d.", code, error->filename, error->lineno)));
	RESUME_INTERRUPTS();
	if (!again)
		halt(slot->stream, code, reason);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (again)
		control_back_off(slot, code, reason);
	else
		shared_set_state(slot, SLOT_STARTING, NULL, NULL);
	LWLockRelease(shared->lock);
	if (!again)
		shared_wake_keeper(MyDatabaseId);
}
