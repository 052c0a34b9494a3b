/*
 * rollup.c - streamagg.create_rollup(): an aggregate with greater windows than another.
 *
 * It is an aggregate like any other, with a definition of its own, so that it can be verified, filled
 * again, and live on when the smaller windows are dropped.  It begins with what their states hold, and
 * takes from then on the rows that they take: which are late is judged by the smaller windows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "archive.h"
#include "catalog.h"
#include "define.h"
#include "event.h"
#include "progress.h"
#include "retention.h"
#include "rollup.h"
#include "run.h"
#include "side.h"
#include "source.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_create_rollup);

static CatalogStatement take_progress = {
	"WITH c AS (UPDATE streamagg.aggregate_catalog SET judged = $3 WHERE state_table = $2)"
	" INSERT INTO streamagg.aggregate_progress (state_table, began, included)"
	" SELECT $2, p.began, p.included FROM streamagg.aggregate_progress p WHERE p.state_table = $1",
	3,
	{REGCLASSOID, REGCLASSOID, TEXTOID},
	NULL};

/* ---------------------------------------------------------------- arguments */

static void
require_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {"name", "aggregate", "size"};

	for (size_t i = 0; i < lengthof(names); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument %s must not be null", names[i])));
}

/* ---------------------------------------------------------------- filling */

/* What add_column() has added has no values for groups of before: greater groups would show a part. */
static void
require_known(const Source *fine)
{
	ListCell *cell;

	foreach (cell, definition_known_columns(fine->definition))
	{
		if (SPI_execute(psprintf("SELECT FROM %s WHERE %s IS NULL LIMIT 1",
								 stream_name(fine->state), (char *) lfirst(cell)),
						false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read the state of %s", fine->name);
		if (SPI_processed > 0)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("aggregate %s has groups that are older than one of its columns",
								   fine->name),
							errhint("Fill it with streamagg.backfill() first.")));
	}
}

/* Behind the progress row: states and offsets as of one batch. */
static void
fill(const Source *fine, const Request *request)
{
	RollupSide from = {fine->definition, fine->state};
	RollupSide to = {NULL, request->state};
	Definition *definition;
	Source *coarse;
	Datum values[3] = {ObjectIdGetDatum(fine->state), ObjectIdGetDatum(request->state),
					   CStringGetTextDatum(window_to_text(&fine->judged))};

	(void) progress_lock(request->stream);
	PushActiveSnapshot(GetTransactionSnapshot());
	coarse = source_load(request->view);
	definition = coarse->definition;
	side_load(definition, request->state);
	side_load(fine->definition, fine->state);
	to.definition = definition;
	to.retention = coarse->retention;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	require_known(fine);
	rollup_fill(&from, &to);
	SPI_finish();
	PopActiveSnapshot();
	catalog_execute(&take_progress, values, NULL);
}

/* As the stream's owner, with neutral settings: the query is PostgreSQL's own text. */
static void
build(const Oid aggregate, const Interval *size, Request *request)
{
	OwnerScope scope;
	Source *fine;
	Window coarser;

	run_enter_owner(request->stream, &scope);
	fine = source_load(aggregate);
	request->timezone = fine->timezone;
	request->datestyle = fine->datestyle;
	request->intervalstyle = fine->intervalstyle;
	if (retention_has_dropped(fine->state))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("windows of aggregate %s have been dropped by its retention", fine->name),
				 errdetail("The rollup would show a part of them as the whole."),
				 errhint("Make an aggregate of the query with greater windows, with backfill => "
						 "'archive'.")));
	rollup_coarsen(&fine->definition->window, size, &coarser);
	request->query = rollup_query(fine->definition, &coarser);
	define_build(request);
	fill(fine, request);
	run_leave_owner(&scope);
}

/*
 * streamagg.create_rollup(name, aggregate, size, retention).  Late policy, allowed_lateness, emit and
 * settings are the aggregate's.  Errors: 42809 for no aggregate, 42501 for others than members of the
 * stream's owner, 0A000 where windows of that size are not made of whole windows of the aggregate.
 */
Datum
streamagg_create_rollup(PG_FUNCTION_ARGS)
{
	Request request = {0};
	Oid aggregate;

	streamagg_require_preload();
	PreventCommandDuringRecovery("create_rollup()");
	catalog_check_version();
	require_arguments(fcinfo);
	aggregate = PG_GETARG_OID(1);
	/* sees an aggregate that the same statement has made */
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	request.stream = source_stream(aggregate);
	stream_require_owner(request.stream);
	define_take_name(&request, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	(void) define_take_policies(&request, aggregate);
	request.length = PG_ARGISNULL(3) ? NULL : PG_GETARG_INTERVAL_P(3);
	LockRelationOid(request.stream, ShareUpdateExclusiveLock);
	archive_prepare(request.stream);
	build(aggregate, PG_GETARG_INTERVAL_P(2), &request);
	PopActiveSnapshot();
	event_log(request.stream, "create_rollup", stream_name(request.view));
	CacheInvalidateRelcacheByRelid(request.stream);
	PG_RETURN_OID(request.view);
}
