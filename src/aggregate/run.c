/*
 * run.c - runs the aggregates of a stream over a batch.
 *
 * Late rows are judged here, once a row and aggregate, by the same window functions that the SQL
 * uses: a late row that is to be dropped is left out of the scan, so the executor never sees it.
 * Counts are over the accepted rows, before WHERE, joins and HAVING, so they do not depend on the
 * plan.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "definition.h"
#include "run.h"
#include "stream.h"
#include "streamagg.h"
#include "target.h"

static CatalogStatement read_aggregates = {
	"SELECT a.aggregate, a.state_table, pg_catalog.pg_get_viewdef(a.definition),"
	" a.late = 'drop' OR a.emit = 'final', a.allowed_lateness, a.timezone, a.datestyle,"
	" a.intervalstyle, a.key_columns, a.state_columns"
	" FROM streamagg.aggregate_catalog a WHERE a.stream = $1 ORDER BY a.state_table::oid",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement store_counters = {
	"INSERT INTO streamagg.aggregate_progress AS p"
	" (state_table, rows_in, late_rows, late_pairs, began)"
	" SELECT n.state, n.rows_in, n.late_rows, n.late_pairs, CASE WHEN NOT EXISTS (SELECT"
	" FROM streamagg.aggregate_progress q WHERE q.state_table = n.state AND q.began IS NOT NULL)"
	/* the batch has not written its offsets yet: these are those that it began at */
	" THEN (SELECT coalesce(pg_catalog.jsonb_object_agg(r.partition, r.next_offset), '{}')"
	" FROM streamagg.partition_progress r WHERE r.stream = $5) END"
	" FROM unnest($1::regclass[], $2::bigint[], $3::bigint[], $4::bigint[])"
	" AS n (state, rows_in, late_rows, late_pairs) ORDER BY 1"
	" ON CONFLICT (state_table) DO UPDATE SET rows_in = p.rows_in + excluded.rows_in,"
	" late_rows = p.late_rows + excluded.late_rows, late_pairs = p.late_pairs + "
	"excluded.late_pairs, began = coalesce(p.began, excluded.began)",
	5,
	{REGCLASSARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, REGCLASSOID},
	NULL};

/* ---------------------------------------------------------------- loading */

static void
apply(const char *name, const char *value)
{
	if (strcmp(GetConfigOption(name, false, false), value) != 0)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
}

void
run_apply_neutral_settings(void)
{
	run_apply_settings("UTC", "ISO, MDY", "postgres");
	apply("row_security", "on");
	apply("extra_float_digits", "1");
	apply("bytea_output", "hex");
	apply("array_nulls", "on");
	apply("xmloption", "content");
	apply("timezone_abbreviations", "Default");
	apply("lc_monetary", "C");
	apply("lc_numeric", "C");
	apply("lc_time", "C");
}

void
run_apply_settings(const char *timezone, const char *datestyle, const char *intervalstyle)
{
	apply("TimeZone", timezone);
	apply("DateStyle", datestyle);
	apply("IntervalStyle", intervalstyle);
}

void
run_enter_owner(Oid stream, OwnerScope *scope)
{
	scope->level = NewGUCNestLevel();
	GetUserIdAndSecContext(&scope->user, &scope->security);
	SetUserIdAndSecContext(stream_owner(stream), scope->security | SECURITY_LOCAL_USERID_CHANGE |
													 SECURITY_RESTRICTED_OPERATION);
	catalog_pin_search_path();
	run_apply_neutral_settings();
}

void
run_leave_owner(const OwnerScope *scope)
{
	AtEOXact_GUC(true, scope->level);
	SetUserIdAndSecContext(scope->user, scope->security);
}

int64
run_lateness(const Interval *interval)
{
	if (interval->month == 0 && interval->day == 0 && interval->time == 0)
		return 0;
	return window_size(interval);
}

typedef struct Loaded
{
	Aggregate *aggregate;
	char *query;
	List *keys;
	List *states;
} Loaded;

/* A row of read_aggregates, copied into the context. */
static Loaded *
read_row(uint64 row, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Loaded *loaded = palloc0(sizeof(Loaded));
	Aggregate *aggregate = palloc0(sizeof(Aggregate));
	bool isnull;
	char *query = catalog_string(row, 3);

	aggregate->view = DatumGetObjectId(catalog_value(row, 1, &isnull));
	aggregate->state = DatumGetObjectId(catalog_value(row, 2, &isnull));
	aggregate->drops_late = DatumGetBool(catalog_value(row, 4, &isnull));
	aggregate->lateness = run_lateness(DatumGetIntervalP(catalog_value(row, 5, &isnull)));
	aggregate->timezone = pstrdup(catalog_string(row, 6));
	aggregate->datestyle = pstrdup(catalog_string(row, 7));
	aggregate->intervalstyle = pstrdup(catalog_string(row, 8));
	aggregate->name = stream_name(aggregate->view);
	loaded->aggregate = aggregate;
	if (query == NULL)
		elog(ERROR, "aggregate \"%s\" has no definition view", aggregate->name);
	loaded->query = pstrdup(query);
	loaded->keys = catalog_text_list(row, 9, context);
	loaded->states = catalog_text_list(row, 10, context);
	MemoryContextSwitchTo(old);
	return loaded;
}

static void
understand(Loaded *loaded)
{
	Aggregate *aggregate = loaded->aggregate;
	Definition *definition;
	Upsert *upsert;

	target_check(aggregate->state, aggregate->name);
	definition = definition_analyze(definition_parse(loaded->query));
	definition_set_columns(definition, loaded->keys, loaded->states);
	aggregate->window = definition->window;
	aggregate->columns = definition_columns(definition);
	aggregate->grouping = grouping_create(definition);
	upsert = rewrite_upsert(definition, stream_name(aggregate->state), aggregate->grouping != NULL);
	aggregate->upsert = upsert;
	aggregate->rows.sql = upsert->rows;
	aggregate->whole.sql =
		rewrite_upsert_sql(upsert, upsert->groups ? upsert->groups : upsert->insert, NULL);
}

List *
run_load(Oid stream)
{
	MemoryContext context = CurrentMemoryContext;
	Datum argument = ObjectIdGetDatum(stream);
	List *loaded = NIL;
	List *aggregates = NIL;
	int level = NewGUCNestLevel();
	CatalogScope scope;
	uint64 rows;
	ListCell *cell;

	run_apply_neutral_settings();
	catalog_enter(&scope);
	rows = catalog_run(&read_aggregates, &argument, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		Loaded *row = read_row(i, context);
		MemoryContext old = MemoryContextSwitchTo(context);

		loaded = lappend(loaded, row);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	foreach (cell, loaded)
	{
		Loaded *row = lfirst(cell);

		understand(row);
		aggregates = lappend(aggregates, row->aggregate);
	}
	AtEOXact_GUC(true, level);
	return aggregates;
}

Bitmapset *
run_columns(const List *aggregates)
{
	Bitmapset *columns = NULL;
	ListCell *cell;

	foreach (cell, aggregates)
		columns = bms_add_members(columns, ((Aggregate *) lfirst(cell))->columns);
	return columns;
}

static void
free_plan(OwnPlan *own)
{
	if (own->plan)
		SPI_freeplan(own->plan);
	own->plan = NULL;
}

void
run_free(List *aggregates)
{
	ListCell *cell;

	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);

		free_plan(&aggregate->rows);
		free_plan(&aggregate->whole);
	}
}

/* ---------------------------------------------------------------- late rows */

static bool
is_late(const Aggregate *aggregate, const BatchRow *row)
{
	TimestampTz closed;

	if (TIMESTAMP_IS_NOBEGIN(row->watermark))
		return false;
	closed = row->watermark - aggregate->lateness;
	/* a window ends behind its rows: nearly every row is settled here */
	return row->event_time < closed && window_end_of(&aggregate->window, row->event_time) <= closed;
}

static void
count_late(Aggregate *aggregate, const Batch *batch, bool *late)
{
	aggregate->rows_in = batch->nrows;
	aggregate->late_rows = 0;
	if (aggregate->window.kind != WINDOW_NONE)
		for (int i = 0; i < batch->nrows; i++)
			if (is_late(aggregate, &batch->rows[i]))
			{
				aggregate->late_rows++;
				late[i] = true;
			}
	aggregate->late_pairs = aggregate->late_rows; /* one window a row, so far */
}

bool *
run_skipped_rows(const Aggregate *aggregate, const Batch *batch)
{
	bool *skip = NULL;

	if (!aggregate->drops_late || aggregate->window.kind == WINDOW_NONE)
		return NULL;
	for (int i = 0; i < batch->nrows; i++)
	{
		if (!is_late(aggregate, &batch->rows[i]))
			continue;
		if (skip == NULL)
			skip = palloc0(batch->nrows * sizeof(bool));
		skip[i] = true;
	}
	return skip;
}

/* ---------------------------------------------------------------- a batch */

/*
 * The statement's constants are read under neutral settings; a plan that was invalidated would read
 * them anew under the definition's, so it is made anew here.
 */
static SPIPlanPtr
own_plan(OwnPlan *own, const Aggregate *aggregate)
{
	if (own->plan && !SPI_plan_is_valid(own->plan))
		free_plan(own);
	if (own->plan)
		return own->plan;
	own->plan = SPI_prepare(own->sql, 0, NULL);
	if (own->plan == NULL || SPI_keepplan(own->plan) != 0)
		elog(ERROR, "could not prepare the statement of aggregate \"%s\"", aggregate->name);
	return own->plan;
}

static void
check_result(const Aggregate *aggregate, int result, int expected)
{
	if (result != expected)
		elog(ERROR, "unexpected result of aggregate \"%s\": %s", aggregate->name,
			 SPI_result_code_string(result));
}

/* The rows go into groups, and those into the state. */
static void
execute_grouped(Aggregate *aggregate, SPIPlanPtr rows, SPIPlanPtr groups)
{
	Grouping *grouping = aggregate->grouping;
	SPIExecuteOptions options = {.dest = grouping_begin(grouping)};
	Grouping *before;

	check_result(aggregate, SPI_execute_plan_extended(rows, &options), SPI_OK_SELECT);
	before = grouping_offer(grouping);
	PG_TRY();
	{
		if (grouping_count(grouping) > 0)
			check_result(aggregate, SPI_execute_plan(groups, NULL, NULL, false, 0), SPI_OK_INSERT);
	}
	PG_FINALLY();
	{
		(void) grouping_offer(before);
	}
	PG_END_TRY();
	grouping_end(grouping);
}

static void
execute(const RowRun *run)
{
	Aggregate *aggregate = run->aggregate;
	bool grouped = aggregate->grouping && run->sql == NULL;
	int level = NewGUCNestLevel();
	SPIPlanPtr rows;
	SPIPlanPtr plan;

	run_apply_neutral_settings();
	rows = grouped ? own_plan(&aggregate->rows, aggregate) : NULL;
	plan = run->sql ? SPI_prepare(run->sql, 0, NULL) : own_plan(&aggregate->whole, aggregate);
	run_apply_settings(aggregate->timezone, aggregate->datestyle, aggregate->intervalstyle);
	if (grouped)
		execute_grouped(aggregate, rows, plan);
	else
		check_result(aggregate, SPI_execute_plan(plan, NULL, NULL, false, 0), SPI_OK_INSERT);
	AtEOXact_GUC(true, level);
}

void
run_rows(const RowRun *run)
{
	ScanOffer before;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	before = scan_offer(&run->rows);
	PG_TRY();
	{
		execute(run);
	}
	PG_FINALLY();
	{
		scan_withdraw(&before);
	}
	PG_END_TRY();
	SPI_finish();
}

void
run_empty(Oid stream, const char *sql)
{
	Relation rel = relation_open(stream, AccessShareLock);
	ScanOffer none = {stream,
					  batch_create(CurrentMemoryContext, RelationGetNumberOfAttributes(rel))};
	ScanOffer before;

	relation_close(rel, NoLock);
	before = scan_offer(&none);
	PG_TRY();
	{
		if (SPI_execute(sql, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not make the first row");
	}
	PG_FINALLY();
	{
		scan_withdraw(&before);
	}
	PG_END_TRY();
}

static void
write_counters(List *aggregates, Oid stream)
{
	int n = list_length(aggregates);
	Datum *columns[4];
	Datum values[5];
	ListCell *cell;
	int row = 0;

	for (int i = 0; i < 4; i++)
		columns[i] = palloc(sizeof(Datum) * n);
	foreach (cell, aggregates)
	{
		const Aggregate *aggregate = lfirst(cell);

		columns[0][row] = ObjectIdGetDatum(aggregate->state);
		columns[1][row] = Int64GetDatum(aggregate->rows_in);
		columns[2][row] = Int64GetDatum(aggregate->late_rows);
		columns[3][row] = Int64GetDatum(aggregate->late_pairs);
		row++;
	}
	for (int i = 0; i < 4; i++)
		values[i] = catalog_array(columns[i], NULL, n, i == 0 ? REGCLASSOID : INT8OID);
	values[4] = ObjectIdGetDatum(stream);
	catalog_execute(&store_counters, values, NULL);
}

void
run_batch(List *aggregates, Oid stream, const Batch *batch, bool *late, Aggregate **current)
{
	ListCell *cell;

	if (aggregates == NIL || batch->nrows == 0)
		return;
	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);
		RowRun run = {
			aggregate, NULL, {stream, batch, run_skipped_rows(aggregate, batch), 0, batch->nrows}};

		*current = aggregate;
		count_late(aggregate, batch, late);
		run_rows(&run);
	}
	*current = NULL;
	write_counters(aggregates, stream);
}
