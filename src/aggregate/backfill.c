/*
 * backfill.c - replaces windows of a state table by what the archive says.
 *
 * A batch writes rows into archive and states in one transaction that holds the stream's row of
 * stream_progress.  Who holds that row sees both as of one batch: what the archive says then is what
 * the state must be, and the next batch adds to it.  Readers see the windows as they were until the
 * commit, and then as they are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "catalog.h"
#include "progress.h"
#include "rewrite_parts.h"
#include "run.h"
#include "session.h"
#include "side.h"
#include "stream.h"
#include "streamagg.h"
#include "target.h"
#include "window_run.h"

/* About half a second's work; where each slice must look through the whole archive, 16 slices. */
#define SLICE_ROWS 200000
#define SLICES_WITHOUT_INDEX 16

static CatalogStatement add_included = {
	"INSERT INTO streamagg.aggregate_progress AS p (state_table, included)"
	" SELECT $1, pg_catalog.tstzmultirange(pg_catalog.tstzrange($2, $3))"
	" ON CONFLICT (state_table) DO UPDATE SET included = p.included + excluded.included",
	3,
	{REGCLASSOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
	NULL};

/* ---------------------------------------------------------------- what the archive holds */

/* Where a range is cut, so may be sessions. */
static void
require_whole_range(const Source *source, const WindowRange *range)
{
	if (source->definition->window.kind == WINDOW_SESSION &&
		!(TIMESTAMP_IS_NOBEGIN(range->from) && TIMESTAMP_IS_NOEND(range->to)))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a backfill of sessions cannot be limited to a range of time yet"),
						errhint("Leave out from_ts and to_ts.")));
}

void
backfill_require_rows(const Source *source, const WindowRange *range)
{
	TimestampTz missing = source_missing_until(source, false);
	const char *stream = get_rel_name(source->stream);

	require_whole_range(source, range);
	if (missing < range->from || TIMESTAMP_IS_NOBEGIN(missing))
		return;
	if (TIMESTAMP_IS_NOEND(missing) || source->definition->window.kind == WINDOW_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the archive of stream \"%s\" does not hold all rows that were accepted",
						stream),
				 errdetail("A backfill from it would lose them.")));
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("the archive of stream \"%s\" may not hold all rows of windows that start up to %s",
				stream, timestamptz_to_str(missing)),
		 errdetail("A backfill from it would lose those that it does not hold."),
		 errhint("Give a later from_ts.")));
}

/* ---------------------------------------------------------------- slices */

static bool
is_indexed(const Source *source)
{
	const char *column = source->event_time + strlen("a.");
	char *sql = psprintf(
		"SELECT FROM pg_catalog.pg_index i, pg_catalog.pg_attribute a WHERE i.indrelid = %u"
		" AND a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND i.indisvalid"
		" AND pg_catalog.quote_ident(a.attname) = %s",
		source->archive, quote_literal_cstr(column));

	if (SPI_execute(sql, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for an index");
	return SPI_processed > 0;
}

/* The starts of slices: of the archive's windows and of those that are stored, by their rows. */
static char *
cut_sql(const Source *source, const WindowRange *range)
{
	const Definition *definition = source->definition;
	const char *key = quote_identifier(definition->keys[0].column);
	const char *start = window_start_sql(&definition->window, source->event_time);
	const char *size = psprintf("%d", SLICE_ROWS);

	if (!is_indexed(source))
		size = psprintf("greatest(%d, pg_catalog.sum(g.n) OVER () / %d)", SLICE_ROWS,
						SLICES_WITHOUT_INDEX);
	return psprintf(
		"SELECT pg_catalog.min(h.w) FROM (SELECT g.w, pg_catalog.div(pg_catalog.sum(g.n) OVER "
		"(ORDER BY "
		"g.w), %s) AS slice FROM (SELECT u.w, pg_catalog.sum(u.n) AS n FROM (SELECT %s AS w,"
		" pg_catalog.count(*) AS n FROM %s a WHERE true%s GROUP BY 1 UNION ALL SELECT s.%s,"
		" pg_catalog.count(*) FROM %s s WHERE true%s GROUP BY 1) u GROUP BY 1) g) h"
		" GROUP BY h.slice ORDER BY 1",
		size, start, stream_name(source->archive), source_range_sql(range, start), key,
		stream_name(source->state), source_range_sql(range, psprintf("s.%s", key)));
}

TimestampTz *
backfill_cut(const Source *source, const WindowRange *range, int *count)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz *cuts;
	bool isnull;

	*count = 0;
	/* a slice would cut sessions */
	if (source->definition->window.kind == WINDOW_NONE ||
		source->definition->window.kind == WINDOW_SESSION)
		return NULL;
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute(cut_sql(source, range), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at the windows");
	cuts = MemoryContextAllocHuge(context, sizeof(TimestampTz) * Max(SPI_processed, 1));
	/* the first slice begins where the range does */
	for (uint64 i = 1; i < SPI_processed; i++)
		cuts[(*count)++] = DatumGetTimestampTz(catalog_value(i, 1, &isnull));
	SPI_finish();
	return cuts;
}

/* ---------------------------------------------------------------- a slice */

void
backfill_mark_included(const Source *source, const WindowRange *range)
{
	bool total = source->definition->window.kind == WINDOW_NONE;
	bool from = !total && !TIMESTAMP_IS_NOBEGIN(range->from);
	bool to = !total && !TIMESTAMP_IS_NOEND(range->to);
	char nulls[4] = {' ', from ? ' ' : 'n', to ? ' ' : 'n', '\0'};
	WindowRange whole = *range;
	Datum values[3];

	/* rows are told by the windows that they are judged by, of which those of a rollup are made */
	if (source->is_rollup)
	{
		whole.from = window_align(&source->definition->window, range->from);
		whole.to = window_align(&source->definition->window, range->to);
	}
	values[0] = ObjectIdGetDatum(source->state);
	values[1] = TimestampTzGetDatum(whole.from);
	values[2] = TimestampTzGetDatum(whole.to);
	catalog_execute(&add_included, values, nulls);
}

static void
execute(const char *sql, int expected)
{
	int result = SPI_execute(sql, false, 0);

	if (result != expected)
		elog(ERROR, "unexpected result: %s", SPI_result_code_string(result));
}

static int64
count_rows(const char *rows)
{
	bool isnull;

	execute(psprintf("SELECT pg_catalog.count(*) FROM (%s) r", rows), SPI_OK_SELECT);
	return DatumGetInt64(catalog_value(0, 1, &isnull));
}

/* The statement is read under neutral settings and runs under those of the definition. */
static void
insert(const Source *source, const char *sql)
{
	SPIPlanPtr plan = SPI_prepare(sql, 0, NULL);
	int level = NewGUCNestLevel();

	if (plan == NULL)
		elog(ERROR, "could not prepare the backfill");
	run_apply_settings(source->timezone, source->datestyle, source->intervalstyle);
	if (SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert the groups");
	AtEOXact_GUC(true, level);
}

static void
insert_groups(void *argument)
{
	const SourceRows *rows = argument;
	const Source *source = rows->source;
	Definition *definition = source_definition(source, rows->range, rows->only_counted);
	const char *state = stream_name(source->state);

	insert(source, rewrite_fill(definition, state));
	side_load(definition, source->state);
	for (int i = 1; i <= definition->nsides; i++)
	{
		Upsert *upsert = rewrite_distinct(definition, i, state, false);
		insert(source, rewrite_upsert_sql(upsert, upsert->insert, NULL));
	}
}

void
backfill_delete(const Source *source, const WindowRange *range)
{
	List *tables = lcons_oid(source->state, side_tables(source->state));
	const char *bounds = "";
	ListCell *cell;

	if (source->definition->window.kind != WINDOW_NONE)
		bounds = source_range_sql(
			range, psprintf("s.%s", quote_identifier(source->definition->keys[0].column)));
	foreach (cell, tables)
		execute(psprintf("DELETE FROM %s s WHERE true%s", stream_name(lfirst_oid(cell)), bounds),
				SPI_OK_DELETE);
}

/* Partitions for the groups. */
static void
make_room(const Source *source, const WindowRange *range)
{
	const Retention *retention = &source->retention;
	TimestampTz *starts;
	ListCell *cell;
	bool isnull;
	int count;

	if (retention->length == 0)
		return;
	execute(psprintf("SELECT DISTINCT i._k1 FROM %s",
					 rewrite_pairs(source_definition(source, range, false))),
			SPI_OK_SELECT);
	count = (int) SPI_processed;
	starts = palloc(sizeof(TimestampTz) * Max(count, 1));
	for (int i = 0; i < count; i++)
		starts[i] = DatumGetTimestampTz(catalog_value(i, 1, &isnull));
	foreach (cell, lcons_oid(source->state, side_tables(source->state)))
		retention_make_room_for(lfirst_oid(cell), retention, starts, count);
}

/* Behind the lock. */
static int64
fill(const Source *source, const WindowRange *range)
{
	SourceRows rows = {source, range, false};
	int64 count;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	count = count_rows(source_rows_once(source, range));
	backfill_delete(source, range);
	make_room(source, range);
	if (source_is_ordered(source))
		session_replay(&rows, insert_groups, &rows);
	else
		insert_groups(&rows);
	SPI_finish();
	backfill_mark_included(source, range);
	return count;
}

int64
backfill_replace(Oid view, const WindowRange *range)
{
	Oid stream = source_stream(view);
	WindowRange kept = *range;
	Source *source;
	ListCell *cell;
	int64 count;

	/* in the order of a batch */
	LockRelationOid(stream, AccessShareLock);
	LockRelationOid(source_state(view), RowExclusiveLock);
	(void) progress_lock(stream);
	PushActiveSnapshot(GetTransactionSnapshot());
	source = source_load(view);
	source_require_archive(source);
	foreach (cell, lcons_oid(source->state, side_tables(source->state)))
		target_check(lfirst_oid(cell), source->name);
	(void) source_leave_out_expired(source, &kept);
	count = fill(source, &kept);
	PopActiveSnapshot();
	return count;
}

static int64
replace_all(Oid view)
{
	WindowRange all = {DT_NOBEGIN, DT_NOEND};
	Source *source = source_load(view);

	source_require_archive(source);
	(void) source_leave_out_expired(source, &all);
	backfill_require_rows(source, &all);
	return backfill_replace(view, &all);
}

int64
backfill_new(Oid view, BackfillSource from)
{
	WindowRange all = {DT_NOBEGIN, DT_NOEND};
	int64 count;

	/* that sees what this command has made */
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	count = from == BACKFILL_KAFKA ? backfill_from_topic(view, &all) : replace_all(view);
	PopActiveSnapshot();
	return count;
}
