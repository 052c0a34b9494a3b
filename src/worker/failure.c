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
#include "sqlstate.h"
#include "streamagg.h"

#define TRIES_OF_UNKNOWN 2

/* Errors that streamagg words itself hold names only; the build gives them a text domain. */
static bool
is_ours(const ErrorData *error)
{
	return error->domain && strcmp(error->domain, STREAMAGG_NAME) == 0;
}

/*
 * Any other text may have been written by the owner's own code, or have a value of a record filled
 * in: of it only the form is shown, unless there is nothing to fill in, or a name that rights are on.
 */
static char *
form_of_message(const ErrorData *error)
{
	const char *form = error->message_id ? error->message_id : "%s";

	if (strchr(form, '%') == NULL || strncmp(form, "permission denied for", 21) == 0)
		return error->message;
	return psprintf("an error with SQLSTATE %s: %s", unpack_sql_state(error->sqlerrcode), form);
}

char *
failure_reason(const ErrorData *error)
{
	if (is_ours(error))
		return psprintf("%s%s%s", error->message, error->hint ? FAILURE_HINT : "",
						error->hint ? error->hint : "");
	if (sqlstate_is_data(error->sqlerrcode))
		return psprintf("an expression of the stream or its aggregates failed with SQLSTATE %s",
						unpack_sql_state(error->sqlerrcode));
	return form_of_message(error);
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
	SqlstateClass class;
	const char *code;
	char *reason;
	bool again;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	class = sqlstate_class(error->sqlerrcode);
	code = pstrdup(unpack_sql_state(error->sqlerrcode));
	reason = failure_reason(error);
	again = class == SQLSTATE_TRANSIENT ||
			(class == SQLSTATE_UNKNOWN && slot->failures < TRIES_OF_UNKNOWN);
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
