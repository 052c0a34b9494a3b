/*
 * control_state.c - streams that shall run and do not: halted, in the catalogue; blocked and backoff, in
 * their slots.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "control.h"
#include "event.h"
#include "streamagg.h"

static CatalogStatement halt_stream = {
	"UPDATE streamagg.stream_catalog SET halted = true, code = $2, reason = $3, since = now()"
	" WHERE stream = $1",
	3,
	{REGCLASSOID, TEXTOID, TEXTOID},
	NULL};

/* Where the owner may not even log in there is nothing to try. */
static CatalogStatement lift_stream = {
	"UPDATE streamagg.stream_catalog s SET halted = false, code = NULL, reason = NULL, since = "
	"now()"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_authid r ON r.oid = c.relowner"
	" WHERE s.stream = $1 AND s.wanted AND s.halted AND c.oid = s.stream AND r.rolcanlogin"
	" AND pg_catalog.has_database_privilege(c.relowner, (SELECT d.oid FROM pg_catalog.pg_database d"
	" WHERE d.datname = pg_catalog.current_database()), 'CONNECT')",
	1,
	{REGCLASSOID},
	NULL};

void
control_halt(Oid stream, const char *code, const char *reason)
{
	Datum values[3] = {ObjectIdGetDatum(stream), CStringGetTextDatum(code),
					   CStringGetTextDatum(reason)};

	catalog_execute(&halt_stream, values, NULL);
	event_log(stream, "halted", psprintf("%s: %s", code, reason));
}

bool
control_lift(Oid stream)
{
	Datum value = ObjectIdGetDatum(stream);

	if (catalog_execute(&lift_stream, &value, NULL) == 0)
		return false;
	event_log(stream, "retry", "what it depends on has changed");
	return true;
}

/* The pause doubles with each failure; jitter, so that many streams do not come back in one moment. */
static void
pause_stream(StreamSlot *slot, int64 first_ms, int64 longest_ms)
{
	int64 pause = Min(first_ms << Min(slot->failures, 6), longest_ms);

	pause *= 0.75 + 0.5 * pg_prng_double(&pg_global_prng_state);
	slot->failures++;
	slot->restarts++;
	slot->next_retry = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause);
}

void
control_back_off(StreamSlot *slot, const char *code, const char *reason)
{
	pause_stream(slot, 1000, 60000);
	shared_set_state(slot, SLOT_BACKOFF, code, reason);
}

void
control_block(StreamSlot *slot, const char *code, const char *reason)
{
	pause_stream(slot, 5000, 30000);
	shared_set_state(slot, SLOT_BLOCKED, code, reason);
}

void
control_require_not_blocked(Oid stream)
{
	StreamSlot copy = {0};
	const StreamSlot *slot;

	LWLockAcquire(shared->lock, LW_SHARED);
	slot = shared_find_slot(MyDatabaseId, stream);
	if (slot)
		copy = *slot;
	LWLockRelease(shared->lock);
	if (copy.state == SLOT_BLOCKED)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is blocked", get_rel_name(stream)),
						errdetail("%s: %s", copy.code, copy.reason),
						errhint("It goes on by itself when the cause is removed.")));
}
