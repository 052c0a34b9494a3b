/*
 * topic.c - a backfill from the stream's own topic.
 *
 * The definition runs over the foreign table, whose scan is limited to the offsets that the stream has
 * committed.  Reading takes long, so it goes into a table beside the state, up to the offsets of that
 * moment, while the stream runs; behind the stream's progress row only the rest is read and the windows
 * are exchanged.
 *
 * It is exact or refused.  The rows found must be as many as were accepted: constraints that have changed,
 * or records that an aggregate refused, would show as another number.  Which rows were late is not in the
 * topic, so late rows must not be dropped.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "catalog.h"
#include "fdw/topic_range.h"
#include "progress.h"
#include "rewrite.h"
#include "run.h"
#include "stream.h"
#include "streamagg.h"
#include "target.h"

static CatalogStatement read_offsets = {
	"SELECT partition, start_offset, next_offset, accepted FROM streamagg.partition_progress"
	" WHERE stream = $1 ORDER BY partition",
	1,
	{REGCLASSOID},
	NULL};

/* ---------------------------------------------------------------- offsets */

/* From the start, or from where a first reading ended, to what is committed; *accepted: all of it. */
static TopicLimit *
committed_offsets(const Source *source, const TopicLimit *before, int64 *accepted)
{
	MemoryContext context = CurrentMemoryContext;
	TopicLimit *limit = palloc0(sizeof(TopicLimit));
	Datum value = ObjectIdGetDatum(source->stream);
	CatalogScope scope;
	bool isnull;

	*accepted = 0;
	catalog_enter(&scope);
	limit->stream = source->stream;
	limit->count = catalog_run(&read_offsets, &value, NULL);
	limit->partitions = MemoryContextAlloc(context, sizeof(int32) * Max(limit->count, 1));
	limit->from = MemoryContextAlloc(context, sizeof(int64) * Max(limit->count, 1));
	limit->to = MemoryContextAlloc(context, sizeof(int64) * Max(limit->count, 1));
	for (int i = 0; i < limit->count; i++)
	{
		limit->partitions[i] = DatumGetInt32(catalog_value(i, 1, &isnull));
		limit->from[i] = DatumGetInt64(catalog_value(i, 2, &isnull));
		limit->to[i] = DatumGetInt64(catalog_value(i, 3, &isnull));
		*accepted += DatumGetInt64(catalog_value(i, 4, &isnull));
		for (int j = 0; before && j < before->count; j++)
			if (before->partitions[j] == limit->partitions[i])
				limit->from[i] = before->to[j];
	}
	catalog_leave(&scope);
	return limit;
}

/* ---------------------------------------------------------------- reading */

static void
require_topic(const Source *source)
{
	if (source->definition->nsides > 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("aggregate \"%s\" has calls with DISTINCT: it cannot be filled from "
							   "Kafka yet",
							   source->name),
						errhint("Use 'archive'.")));
	if (stream_server_is_local(GetForeignTable(source->stream)->serverid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is local: it has no topic to read",
							   get_rel_name(source->stream)),
						errhint("Use 'archive'.")));
	if (source->definition->window.kind == WINDOW_SESSION)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("aggregate \"%s\" has sessions: it cannot be filled from Kafka yet",
							   source->name),
						errhint("Use 'archive'.")));
	if (source->leaves_out_after >= 0 && source->definition->window.kind != WINDOW_NONE)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("aggregate \"%s\" leaves out late rows: it cannot be filled from Kafka",
					source->name),
			 errdetail("Which rows were late depends on the watermarks that they met, which the "
					   "topic does not hold."),
			 errhint("Use 'archive'.")));
}

/* Adds the rows within the limit to the table beside. */
static void
read_into(const Source *source, const char *beside, const WindowRange *range, TopicLimit *limit)
{
	Source over_stream = *source;
	TopicLimit *before;
	Upsert *upsert;
	SPIPlanPtr plan;
	int level;

	over_stream.archive = source->stream; /* it has the same columns */
	upsert = rewrite_upsert(source_definition(&over_stream, range, false), beside, false);
	plan = SPI_prepare(rewrite_upsert_sql(upsert, upsert->insert, NULL), 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare the backfill");
	level = NewGUCNestLevel();
	run_apply_settings(source->timezone, source->datestyle, source->intervalstyle);
	before = topic_range_set_limit(limit);
	PG_TRY();
	{
		if (SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not read the topic");
	}
	PG_FINALLY();
	{
		(void) topic_range_set_limit(before);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, level);
}

static void
require_same_rows(const Source *source, int64 found, int64 accepted)
{
	if (found != accepted)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the topic of stream \"%s\" gives " INT64_FORMAT
					" rows now, and gave " INT64_FORMAT " when it was read",
					get_rel_name(source->stream), found, accepted),
			 errdetail("Its columns or constraints have changed, an aggregate has refused rows, or "
					   "the topic was compacted."),
			 errhint("Use 'archive'.")));
}

static void
run(const char *sql, int expected)
{
	int result = SPI_execute(sql, false, 0);

	if (result != expected)
		elog(ERROR, "unexpected result: %s", SPI_result_code_string(result));
}

static char *
make_beside(const Source *source)
{
	char *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(source->state)),
											psprintf("_streamagg_backfill_%u", source->state));

	run(psprintf("CREATE UNLOGGED TABLE %s (LIKE %s INCLUDING INDEXES)", name,
				 stream_name(source->state)),
		SPI_OK_UTILITY);
	return name;
}

int64
backfill_from_topic(Oid view, const WindowRange *range)
{
	Source *source = source_load(view);
	TopicLimit *first;
	TopicLimit *rest;
	int64 accepted;
	char *beside;

	require_topic(source);
	LockRelationOid(source->stream, AccessShareLock);
	target_check(source->state, source->name);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	beside = make_beside(source);
	first = committed_offsets(source, NULL, &accepted);
	read_into(source, beside, range, first);
	(void) progress_lock(source->stream);
	rest = committed_offsets(source, first, &accepted);
	read_into(source, beside, range, rest);
	require_same_rows(source, first->accepted + rest->accepted, accepted);
	backfill_delete(source, range);
	run(psprintf("INSERT INTO %s SELECT * FROM %s", stream_name(source->state), beside),
		SPI_OK_INSERT);
	run(psprintf("DROP TABLE %s", beside), SPI_OK_UTILITY);
	SPI_finish();
	backfill_mark_included(source, range);
	return accepted;
}
