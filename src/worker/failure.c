/*
 * failure.c - what comes after an error, by its class.
 *
 * Transient ones (connection, resources, serialization, cancel) are tried again with a growing
 * pause; unknown ones twice.  What waits for something outside of the database's definitions (a topic,
 * a broker's ACL, a key, a file) is blocked: the keeper looks again, more and more seldom.  Everything
 * else needs a person, so the stream halts with its reason; where definitions are to blame, the keeper
 * goes on by itself when they change (watch.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/elog.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "attempt.h"
#include "control.h"
#include "failure.h"
#include "kafka/consumer.h"
#include "settings.h"
#include "sqlstate.h"
#include "streamagg.h"

#define TRIES_OF_UNKNOWN 2

typedef enum Verdict
{
	TRY_AGAIN,
	BLOCKED,
	HALTED
} Verdict;

static const char *const verdict_words[] = {"tries again", "is blocked", "halts"};

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
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && error->message_id &&
		strcmp(error->message_id, "canceling statement due to lock timeout") == 0)
		return "no lock within " SETTINGS_LOCK_TIMEOUT
			   ": another session holds the stream, a state "
			   "table or a joined table; hint: pg_locks tells which.";
	if (is_ours(error))
		return psprintf("%s%s%s", error->message, error->hint ? FAILURE_HINT : "",
						error->hint ? error->hint : "");
	if (sqlstate_is_data(error->sqlerrcode))
		return psprintf("an expression of the stream or its aggregates failed with SQLSTATE %s",
						unpack_sql_state(error->sqlerrcode));
	return form_of_message(error);
}

static bool
waits_for_outside(int code)
{
	if (code == ERRCODE_INSUFFICIENT_PRIVILEGE)
		return kafka_broker_refused();
	return code == ERRCODE_UNDEFINED_OBJECT || code == ERRCODE_CONFIG_FILE_ERROR;
}

/*
 * A definition that is wrong is looked at twice: it may have been changed by several statements.  Not
 * what a broker refuses to know: it may lock out who asks too often.
 */
static Verdict
judge(const StreamSlot *slot, int code)
{
	if (code == ERRCODE_CRASH_SHUTDOWN)
		return HALTED;
	switch (sqlstate_class(code))
	{
		case SQLSTATE_TRANSIENT:
			return TRY_AGAIN;
		case SQLSTATE_UNKNOWN:
			return slot->failures < TRIES_OF_UNKNOWN ? TRY_AGAIN : HALTED;
		case SQLSTATE_CONFIGURATION:
			if (waits_for_outside(code))
				return BLOCKED;
			return slot->failures == 0 && sqlstate_is_curable(code) &&
						   !sqlstate_is_authentication(code)
					   ? TRY_AGAIN
					   : HALTED;
		default:
			return HALTED;
	}
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
	Verdict verdict;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	code = pstrdup(unpack_sql_state(error->sqlerrcode));
	reason = failure_reason(error);
	verdict = judge(slot, error->sqlerrcode);
	ereport(LOG, (errmsg("stream \"%s\" %s: %s", stream, verdict_words[verdict], reason),
				  errdetail("SQLSTATE %s at %s:%d.", code, error->filename, error->lineno)));
	RESUME_INTERRUPTS();
	attempt_fail(slot->stream);
	if (verdict == HALTED)
		halt(slot->stream, code, reason);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	/* the next batch is a quarter of this one */
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES &&
		slot->batch_size > 0)
		slot->batch_limit = Max(slot->batch_size / 4, 1);
	if (verdict == TRY_AGAIN)
		control_back_off(slot, code, reason);
	else if (verdict == BLOCKED)
		control_block(slot, code, reason);
	else
		shared_set_state(slot, SLOT_STARTING, NULL, NULL);
	LWLockRelease(shared->lock);
	if (verdict == HALTED)
		shared_wake_keeper(MyDatabaseId, false);
}
