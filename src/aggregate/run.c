/*
 * run.c - runs the aggregates of a stream over a batch.
 *
 * Late rows that are to be dropped are left out of the scan (late.c), so the executor never sees them.
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

static void
group_rows(const Aggregate *aggregate, SPIPlanPtr rows, DestReceiver *dest)
{
	SPIExecuteOptions options = {.dest = dest};

	run_check_result(aggregate, SPI_execute_plan_extended(rows, &options), SPI_OK_SELECT);
}

/* Rows that are late for as many of their windows at a time; nearly always all are late for none. */
static void
group_by_lateness(const Aggregate *aggregate, Grouping *grouping, SPIPlanPtr rows,
				  DestReceiver *dest)
{
	ScanOffer offer = *scan_offered();
	int late = 0;

	do
	{
		ScanOffer part = offer;
		int next;
		bool *skip = run_skip_others(aggregate, &offer, late, &next);

		part.skip = skip;
		grouping_leave_out(grouping, late);
		(void) scan_offer(&part);
		group_rows(aggregate, rows, dest);
		pfree(skip);
		late = next;
	} while (late > 0);
	(void) scan_offer(&offer);
}

/* The rows go into groups, and those into the state. */
static void
execute_grouped(const Aggregate *aggregate, const BatchStatement *statement, SPIPlanPtr rows,
				SPIPlanPtr groups)
{
	Grouping *grouping = statement->grouping;
	DestReceiver *dest = grouping_begin(grouping);
	Grouping *before;

	if (statement->by_panes && scan_offered()->closed)
		group_by_lateness(aggregate, grouping, rows, dest);
	else
		group_rows(aggregate, rows, dest);
	before = grouping_offer(grouping);
	PG_TRY();
	{
		while (grouping_next(grouping))
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

/* sql: in place of the statement's own. */
static void
execute(const Aggregate *aggregate, BatchStatement *statement, const char *sql)
{
	bool grouped = sql == NULL && statement->grouping;
	int level = NewGUCNestLevel();
	SPIPlanPtr rows;
	SPIPlanPtr plan;

	run_apply_neutral_settings();
	rows = grouped ? run_own_plan(&statement->rows, aggregate) : NULL;
	plan = sql ? SPI_prepare(sql, 0, NULL) : run_own_plan(&statement->whole, aggregate);
	run_apply_settings(aggregate->timezone, aggregate->datestyle, aggregate->intervalstyle);
	if (grouped)
		execute_grouped(aggregate, statement, rows, plan);
	else
		run_check_result(aggregate, SPI_execute_plan(plan, NULL, NULL, false, 0), SPI_OK_INSERT);
	AtEOXact_GUC(true, level);
}

/* The groups before what side tables add to them. */
static void
execute_all(const Aggregate *aggregate)
{
	ListCell *cell;

	foreach (cell, aggregate->statements)
		execute(aggregate, lfirst(cell), NULL);
}

/* In the state, and in side tables, whose partitions are the same. */
static void
make_room(const Aggregate *aggregate, const ScanOffer *rows)
{
	ListCell *cell;

	foreach (cell, aggregate->tables)
		retention_make_room(lfirst_oid(cell), &aggregate->retention, &aggregate->definition->window,
							rows);
}

void
run_make_room(const List *aggregates, Oid stream, const Batch *batch)
{
	ListCell *cell;

	foreach (cell, aggregates)
	{
		const Aggregate *aggregate = lfirst(cell);
		ScanOffer rows;

		if (aggregate->retention.length == 0)
			continue;
		rows = run_offer(aggregate, stream, batch);
		make_room(aggregate, &rows);
	}
}

void
run_rows(const RowRun *run)
{
	const Aggregate *aggregate = run->aggregate;
	ScanOffer before;

	/* again: watermarks go back when a row that the aggregate failed on is taken out */
	if (aggregate->retention.length > 0)
		make_room(aggregate, &run->rows);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	before = scan_offer(&run->rows);
	PG_TRY();
	{
		if (run->aggregate->sessions)
			session_run(run);
		else if (run->sql)
			execute(run->aggregate, NULL, run->sql);
		else
			execute_all(run->aggregate);
	}
	PG_FINALLY();
	{
		scan_withdraw(&before);
	}
	PG_END_TRY();
	SPI_finish();
}

ScanOffer
run_no_rows(Oid stream)
{
	Relation rel = relation_open(stream, AccessShareLock);
	ScanOffer none = {stream,
					  batch_create(CurrentMemoryContext, RelationGetNumberOfAttributes(rel))};

	relation_close(rel, NoLock);
	return none;
}

void
run_empty(Oid stream, const char *sql)
{
	ScanOffer none = run_no_rows(stream);
	ScanOffer before;

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
write_counters(const List *aggregates, Oid stream)
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

	if (batch->nrows == 0)
	{
		run_begin(aggregates, stream);
		return;
	}
	if (aggregates == NIL)
		return;
	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);
		RowRun run = {aggregate, NULL, run_offer(aggregate, stream, batch)};

		*current = aggregate;
		run_count_late(aggregate, batch, late);
		run_rows(&run);
		if (aggregate->sessions)
			session_count_late(aggregate, late);
	}
	*current = NULL;
	write_counters(aggregates, stream);
}

void
run_begin(const List *aggregates, Oid stream)
{
	bool has_begun = true;
	ListCell *cell;

	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);

		has_begun &= aggregate->has_begun;
		aggregate->rows_in = aggregate->late_rows = aggregate->late_pairs = 0;
	}
	if (!has_begun)
		write_counters(aggregates, stream);
}
