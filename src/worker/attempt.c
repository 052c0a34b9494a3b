/*
 * attempt.c - a record that crashes the server must not do it for ever.
 *
 * A crash takes all of shared memory along, so what a worker was at when the server crashed can only
 * be told by a committed row: the marker.  As long as the server has not crashed none is written.
 * After a crash each stream marks its first batch, which is short; its commit takes the marker away.
 * A worker that finds an open marker of another life of the server takes an eighth of that batch next,
 * until a single record is left, and halts when that one has crashed the server three times running.
 * (Halving would take three times as many crashes, which all sessions of the server suffer.)
 *
 * Streams that were in a marked batch at a crash take turns: the next crash has one culprit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "attempt.h"
#include "catalog.h"
#include "streamagg.h"

#define FIRST_RECORDS 4096
#define SHRINK 8
#define MAX_CRASHES 3
#define NAP_MS 20

static CatalogStatement read_marker = {
	"SELECT open AND epoch <> $2, records, rest, partition, record_offset, crashes"
	" FROM streamagg.attempt WHERE stream = $1",
	2,
	{REGCLASSOID, TIMESTAMPTZOID},
	NULL};

static CatalogStatement write_marker = {
	"INSERT INTO streamagg.attempt"
	" (stream, open, epoch, records, rest, partition, record_offset, crashes)"
	" SELECT $1, $2, $3, $4, $5, $6, $7, $8 ON CONFLICT (stream) DO UPDATE SET"
	" open = excluded.open, epoch = excluded.epoch, records = excluded.records,"
	" rest = excluded.rest, partition = excluded.partition,"
	" record_offset = excluded.record_offset, crashes = excluded.crashes",
	8,
	{REGCLASSOID, BOOLOID, TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID, INT8OID, INT4OID},
	NULL};

static CatalogStatement delete_marker = {
	"DELETE FROM streamagg.attempt WHERE stream = $1", 1, {REGCLASSOID}, NULL};

static CatalogStatement close_marker = {
	"UPDATE streamagg.attempt SET open = false WHERE stream = $1 AND open", 1, {REGCLASSOID}, NULL};

static bool is_open = false; /* the marker, by this process or found so */

static void
store(const Attempt *attempt, Oid stream, bool open)
{
	Datum values[8] = {ObjectIdGetDatum(stream),		   BoolGetDatum(open),
					   TimestampTzGetDatum(shared->epoch), Int32GetDatum(attempt->limit),
					   Int32GetDatum(attempt->rest),	   Int32GetDatum(attempt->partition),
					   Int64GetDatum(attempt->offset),	   Int32GetDatum(attempt->crashes)};

	catalog_execute(&write_marker, values, NULL);
}

static void
forget(Oid stream)
{
	Datum value = ObjectIdGetDatum(stream);

	catalog_execute(&delete_marker, &value, NULL);
}

/* ---------------------------------------------------------------- after a crash */

/* False without a marker. */
static bool
read_row(Attempt *attempt, Oid stream, bool *crashed)
{
	Datum values[2] = {ObjectIdGetDatum(stream), TimestampTzGetDatum(shared->epoch)};
	CatalogScope scope;
	bool isnull;
	bool found;

	catalog_enter(&scope);
	found = catalog_run(&read_marker, values, NULL) > 0;
	if (found)
	{
		*crashed = DatumGetBool(catalog_value(0, 1, &isnull));
		attempt->limit = DatumGetInt32(catalog_value(0, 2, &isnull));
		attempt->rest = DatumGetInt32(catalog_value(0, 3, &isnull));
		attempt->partition = DatumGetInt32(catalog_value(0, 4, &isnull));
		attempt->offset = DatumGetInt64(catalog_value(0, 5, &isnull));
		attempt->crashes = DatumGetInt32(catalog_value(0, 6, &isnull));
	}
	catalog_leave(&scope);
	return found;
}

static void
raise_culprit(const Attempt *attempt, const Stream *stream)
{
	ereport(ERROR, (errcode(ERRCODE_CRASH_SHUTDOWN),
					errmsg("stream \"%s\", topic \"%s\" partition %d offset " INT64_FORMAT
						   ": this record has crashed the server %d times running",
						   stream->name, stream->topic, attempt->partition, attempt->offset,
						   attempt->crashes),
					errhint("SELECT streamagg.skip('%s', %d, " INT64_FORMAT ", 'why') passes it; "
							"streamagg.start() tries it once more.",
							stream_name(stream->relid), attempt->partition, attempt->offset)));
}

static void
shrink(Attempt *attempt)
{
	if (attempt->limit == 1)
	{
		attempt->crashes++;
		return;
	}
	attempt->rest = attempt->limit;
	attempt->limit = Max(attempt->limit / SHRINK, 1);
	attempt->crashes = 0;
}

void
attempt_load(Attempt *attempt, const Stream *stream, const StreamSlot *slot)
{
	bool crashed = false;

	memset(attempt, 0, sizeof(*attempt));
	attempt->due = shared->crashed && !slot->survived;
	attempt->limit = attempt->due ? FIRST_RECORDS : 0;
	if (!read_row(attempt, stream->relid, &crashed))
		return;
	if (!shared->crashed)
	{
		/* the server was shut down */
		forget(stream->relid);
		memset(attempt, 0, sizeof(*attempt));
		return;
	}
	attempt->due = true;
	is_open = crashed;
	if (!crashed)
		return;
	shrink(attempt);
	if (attempt->crashes >= MAX_CRASHES)
		raise_culprit(attempt, stream);
	ereport(LOG, (errmsg("stream \"%s\": the server crashed in one of its batches: the next one "
						 "has %d records at the most",
						 stream->name, attempt->limit)));
}

/* ---------------------------------------------------------------- turns */

static bool
take_turn(void)
{
	bool mine;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mine = shared->suspect == 0 || shared->suspect == MyProcPid;
	if (mine)
		shared->suspect = MyProcPid;
	LWLockRelease(shared->lock);
	return mine;
}

static void
end_turn(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->suspect == MyProcPid)
		shared->suspect = 0;
	LWLockRelease(shared->lock);
}

static void
wait_for_turn(const StreamSlot *slot)
{
	while (!take_turn() && !slot->stop)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* ---------------------------------------------------------------- a batch */

/* The first record of the batch; crashes are counted of one and the same. */
static void
note_place(Attempt *attempt, const KafkaConsumer *consumer)
{
	for (int i = 0; i < kafka_consumer_count(consumer); i++)
	{
		int32 partition;
		int64 offset;

		if (kafka_consumer_place(consumer, i, &partition, &offset) != KAFKA_RECORD)
			continue;
		if (partition != attempt->partition || offset != attempt->offset)
			attempt->crashes = 0;
		attempt->partition = partition;
		attempt->offset = offset;
		return;
	}
}

void
attempt_mark(Attempt *attempt, const Stream *stream, const StreamSlot *slot,
			 const KafkaConsumer *consumer)
{
	if (!attempt->due)
		return;
	if (attempt->rest > 0)
		wait_for_turn(slot);
	note_place(attempt, consumer);
	is_open = true;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	store(attempt, stream->relid, true);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

void
attempt_succeed(Attempt *attempt, const Stream *stream, const KafkaConsumer *consumer)
{
	if (!attempt->due)
		return;
	attempt->rest -= kafka_consumer_count(consumer);
	attempt->crashes = 0;
	if (attempt->rest > 0)
		store(attempt, stream->relid, false);
	else
		forget(stream->relid);
}

void
attempt_committed(Attempt *attempt, StreamSlot *slot)
{
	if (!attempt->due)
		return;
	is_open = false;
	end_turn();
	if (attempt->rest > 0)
		return;
	memset(attempt, 0, sizeof(*attempt));
	slot->survived = true;
}

void
attempt_fail(Oid stream)
{
	Datum value = ObjectIdGetDatum(stream);

	if (!is_open)
		return;
	is_open = false;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	catalog_execute(&close_marker, &value, NULL);
	PopActiveSnapshot();
	CommitTransactionCommand();
}
