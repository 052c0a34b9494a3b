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
#include "utils/guc.h"
#include "utils/rel.h"

#include "catalog.h"
#include "run.h"
#include "session.h"
#include "streamagg.h"

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

/*
 * The statement's constants are read under neutral settings; a plan that was invalidated would read
 * them anew under the definition's, so it is made anew here.
 */
SPIPlanPtr
run_own_plan(OwnPlan *own, const Aggregate *aggregate)
{
	if (own->plan && !SPI_plan_is_valid(own->plan))
		run_free_plan(own);
	if (own->plan)
		return own->plan;
	own->plan = SPI_prepare(own->sql, 0, NULL);
	if (own->plan == NULL || SPI_keepplan(own->plan) != 0)
		elog(ERROR, "could not prepare the statement of aggregate \"%s\"", aggregate->name);
	return own->plan;
}

void
run_check_result(const Aggregate *aggregate, int result, int expected)
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

	run_check_result(aggregate, SPI_execute_plan_extended(rows, &options), SPI_OK_SELECT);
	before = grouping_offer(grouping);
	PG_TRY();
	{
		if (grouping_count(grouping) > 0)
			run_check_result(aggregate, SPI_execute_plan(groups, NULL, NULL, false, 0),
							 SPI_OK_INSERT);
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
	rows = grouped ? run_own_plan(&aggregate->rows, aggregate) : NULL;
	plan = run->sql ? SPI_prepare(run->sql, 0, NULL) : run_own_plan(&aggregate->whole, aggregate);
	run_apply_settings(aggregate->timezone, aggregate->datestyle, aggregate->intervalstyle);
	if (grouped)
		execute_grouped(aggregate, rows, plan);
	else
		run_check_result(aggregate, SPI_execute_plan(plan, NULL, NULL, false, 0), SPI_OK_INSERT);
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
		if (run->aggregate->sessions)
			session_run(run);
		else
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
		run_count_late(aggregate, batch, late);
		run_rows(&run);
		if (aggregate->sessions)
			session_count_late(aggregate, late);
	}
	*current = NULL;
	write_counters(aggregates, stream);
}
