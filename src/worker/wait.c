/*
 * wait.c - wait_for(): until what is in the topic is committed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "adopt.h"
#include "catalog.h"
#include "control.h"
#include "kafka/probe.h"
#include "offsets.h"
#include "session.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_wait_for);

#define POLL_MS 10

static CatalogStatement count_reached = {
	"SELECT pg_catalog.count(*)::int FROM unnest($2::int[], $3::bigint[])"
	" AS t (partition, next_offset) JOIN streamagg.partition_progress p"
	" ON p.stream = $1 AND p.partition = t.partition AND p.next_offset >= t.next_offset",
	3,
	{REGCLASSOID, INT4ARRAYOID, INT8ARRAYOID},
	NULL};

static CatalogStatement read_state = {
	"SELECT wanted, halted, code, reason FROM streamagg.stream_catalog WHERE stream = $1",
	1,
	{REGCLASSOID},
	NULL};

/* ---------------------------------------------------------------- targets */

/* The ends of the topic now, as the stream's owner sees it; an empty partition has none to reach. */
static Offsets
current_ends(Oid stream)
{
	Offsets targets = {0, NULL, NULL};
	int64 *ends;
	int count = kafka_probe_ends(GetForeignTable(stream)->serverid, stream_owner(stream),
								 stream_option(stream, "topic", ""), &ends);

	targets.partitions = palloc(sizeof(int32) * Max(count, 1));
	targets.offsets = ends;
	targets.count = count;
	for (int i = 0; i < count; i++)
		targets.partitions[i] = i;
	return targets;
}

/* ---------------------------------------------------------------- waiting */

/* Reads what is committed by now, whatever the transaction's isolation level. */
static void
run_fresh(CatalogStatement *statement, const Datum *values)
{
	if (statement->plan == NULL)
	{
		statement->plan = SPI_prepare(statement->sql, statement->nargs, statement->types);
		if (statement->plan == NULL || SPI_keepplan(statement->plan) != 0)
			elog(ERROR, "could not prepare \"%s\"", statement->sql);
	}
	if (SPI_execute_snapshot(statement->plan, (Datum *) values, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\"", statement->sql);
}

static bool
is_reached(const Offsets *targets, const Datum *values)
{
	bool isnull;

	run_fresh(&count_reached, values);
	return DatumGetInt32(catalog_value(0, 1, &isnull)) == targets->count;
}

/* A stream that does not run will never get there. */
static void
require_wanted(Oid stream)
{
	Datum value = ObjectIdGetDatum(stream);
	bool isnull;
	bool wanted;
	bool halted;

	run_fresh(&read_state, &value);
	wanted = SPI_processed > 0 && DatumGetBool(catalog_value(0, 1, &isnull));
	halted = SPI_processed > 0 && DatumGetBool(catalog_value(0, 2, &isnull));
	if (halted)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is halted", get_rel_name(stream)),
						errdetail("%s: %s", catalog_string(0, 3), catalog_string(0, 4)),
						errhint("When the cause is removed, run streamagg.start('%s').",
								stream_name(stream))));
	if (wanted)
		control_require_not_blocked(stream);
	else
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is not running", get_rel_name(stream)),
						errhint("Run streamagg.start('%s').", stream_name(stream))));
}

/* Raises when the stream will never get there; true when it has.  targets may be NULL. */
static bool
look(Oid stream, const Offsets *targets, const Datum *values)
{
	CatalogScope scope;
	bool reached;

	catalog_enter(&scope);
	require_wanted(stream);
	reached = targets && is_reached(targets, values);
	catalog_leave(&scope);
	return reached;
}

/* The arguments of count_reached. */
static void
target_values(Oid stream, const Offsets *targets, Datum *values)
{
	Datum *partitions = palloc(sizeof(Datum) * Max(targets->count, 1));
	Datum *offsets = palloc(sizeof(Datum) * Max(targets->count, 1));

	for (int i = 0; i < targets->count; i++)
	{
		partitions[i] = Int32GetDatum(targets->partitions[i]);
		offsets[i] = Int64GetDatum(targets->offsets[i]);
	}
	values[0] = ObjectIdGetDatum(stream);
	values[1] = catalog_array(partitions, NULL, targets->count, INT4OID);
	values[2] = catalog_array(offsets, NULL, targets->count, INT8OID);
}

static bool
wait_until(Oid stream, const Offsets *targets, int64 timeout_ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	Datum values[3];

	target_values(stream, targets, values);
	for (;;)
	{
		bool reached = look(stream, targets, values);

		if (reached || GetCurrentTimestamp() >= until)
			return reached;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* streamagg.wait_for(stream, timeout, offsets) */
Datum
streamagg_wait_for(PG_FUNCTION_ARGS)
{
	Oid stream;
	int64 timeout_ms;
	Offsets targets;

	streamagg_require_preload();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("stream and timeout must not be null")));
	stream = PG_GETARG_OID(0);
	stream_require_control(stream);
	if (session_has_started(stream))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stream \"%s\" was started in this transaction", get_rel_name(stream)),
				 errdetail("It runs from commit on."), errhint("Commit first.")));
	if (stream_server_is_local(GetForeignTable(stream)->serverid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is local: there is nothing to wait for",
							   get_rel_name(stream)),
						errhint("streamagg.push() returns when its records are processed.")));
	timeout_ms = session_milliseconds(PG_GETARG_INTERVAL_P(1));
	adopt_require();
	(void) look(stream, NULL, NULL);
	targets = PG_ARGISNULL(2) ? current_ends(stream) : offsets_of_jsonb(PG_GETARG_JSONB_P(2));
	PG_RETURN_BOOL(wait_until(stream, &targets, timeout_ms));
}
