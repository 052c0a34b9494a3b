/*
 * archive_tend.c - the keeper's housekeeping of archives: tomorrow's day ahead, days past archive_keep
 * away (partition_drop.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "aggregate/run.h"
#include "archive.h"
#include "catalog.h"
#include "partition.h"
#include "partition_drop.h"
#include "streamagg.h"
#include "worker/control.h"
#include "worker/shared.h"

#define WAKE_EVERY_MS 60000

/* Of this database: a copy that nobody uses keeps what it has. */
static CatalogStatement all_archives = {
	"SELECT a.archive, a.stream FROM streamagg.archive_catalog a"
	" JOIN pg_catalog.pg_class c ON c.oid = a.stream AND c.relkind = 'f'"
	" WHERE a.identity = $1 ORDER BY 1",
	1,
	{TEXTOID},
	NULL};

/* ---------------------------------------------------------------- days */

/* The time before which days go; false: they stay for ever. */
static bool
expiry_of(Oid stream, TimestampTz *before)
{
	const char *keep = stream_option(stream, "archive_keep", NULL);
	int64 age;

	if (keep == NULL || !options_parse_duration(keep, &age))
		return false;
	*before = GetCurrentTimestamp() - age;
	return true;
}

void
archive_tend_local(const Stream *stream)
{
	static TimestampTz last = 0;
	TimestampTz now = GetCurrentTimestamp();
	Oid archive;
	TimestampTz before;

	if (!stream->archived)
		return;
	archive = archive_of(stream->relid);
	archive_ensure_day(archive, now + USECS_PER_DAY);
	if (!TimestampDifferenceExceeds(last, now, WAKE_EVERY_MS) ||
		!expiry_of(stream->relid, &before) || partition_before(archive, before) == NIL)
		return;
	last = now;
	shared_wake_keeper(MyDatabaseId, false);
}

/* ---------------------------------------------------------------- a round */

static bool
horizon(const PartitionExpiry *expiry, TimestampTz *before)
{
	return expiry_of(expiry->stream, before);
}

/* By its trigger. */
static bool
is_day(const PartitionExpiry *expiry)
{
	return archive_is_day(expiry->partition);
}

static const PartitionRules archive_rules = {"drop_archive_day", horizon, is_day, NULL};

/* Today and tomorrow. */
static void
make_days(PartitionExpiry *expiry)
{
	OwnerScope scope;

	if (!partition_hold(expiry->stream) || !partition_hold(expiry->parent) ||
		!archive_is_on(expiry->stream) ||
		stream_owner(expiry->parent) != stream_owner(expiry->stream))
		return; /* the worker says so */
	run_enter_owner(expiry->stream, &scope);
	archive_ensure_day(expiry->parent, GetCurrentTimestamp());
	archive_ensure_day(expiry->parent, GetCurrentTimestamp() + USECS_PER_DAY);
	run_leave_owner(&scope);
}

void
archive_tend(void)
{
	Datum identity = CStringGetTextDatum(control_identity());
	ListCell *cell;

	foreach (cell, partition_read_parents(&all_archives, &identity, &archive_rules))
	{
		(void) partition_step(make_days, lfirst(cell));
		partition_drop_expired(lfirst(cell));
	}
}
