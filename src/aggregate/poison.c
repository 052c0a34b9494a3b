/*
 * poison.c - bisects a batch that an aggregate fails on.
 *
 * Halves are tried and undone until the rows are found on which an expression, a join, a trigger or
 * a constraint of the state table fails: log2(n) trials a row.  The good rows are not written here;
 * ingest.c takes the bad ones out and runs the batch again.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "guard.h"
#include "poison.h"
#include "sqlstate.h"
#include "streamagg.h"

/* So many bad rows and no good one: this is not about rows. */
#define ENOUGH_BAD_ROWS 20

typedef struct Search
{
	RowRun run;
	int *codes;
	int bad;
	int good;
} Search;

static void
try_rows(void *run)
{
	run_rows(run);
}

/* The SQLSTATE of a run over these rows, 0 when it goes well; undone in any case. */
static int
code_of_rows(Search *search, int first, int end, const char *sql)
{
	int code;

	search->run.rows.first = first;
	search->run.rows.end = end;
	search->run.sql = sql;
	code = guard_try(try_rows, &search->run, sqlstate_is_data);
	if (code == 0)
		guard_undo();
	return code;
}

static bool
is_hopeless(const Search *search)
{
	return search->bad >= ENOUGH_BAD_ROWS && search->good == 0;
}

/* ---------------------------------------------------------------- overflow */

static const char *
overflowing_column(Search *search, int row)
{
	const Upsert *upsert = search->run.aggregate->upsert;
	ListCell *cell;

	foreach (cell, upsert->merges)
	{
		const StateMerge *merge = lfirst(cell);

		if (code_of_rows(search, row, row + 1, rewrite_upsert_sql(upsert, merge)))
			return merge->column;
	}
	return "?";
}

/*
 * A row that goes in alone but not onto what is stored: the sum has come to its type's end.  To
 * quarantine rows for it would lose them one after the other.
 */
static void
refuse_overflow(Search *search, int row)
{
	const Aggregate *aggregate = search->run.aggregate;
	const BatchRow *found = &search->run.rows.batch->rows[row];
	const char *insert = psprintf("%s ON CONFLICT DO NOTHING", aggregate->upsert->insert);
	const char *column;

	if (code_of_rows(search, row, row + 1, insert))
		return;
	column = overflowing_column(search, row); /* not among the arguments: it catches errors */
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errsafe(),
			 errmsg("aggregate \"%s\": column \"%s\" of a stored group would overflow",
					aggregate->name, column),
			 errdetail("It is the group of the record of partition %d, offset " INT64_FORMAT ".",
					   found->partition, found->offset),
			 errhint("Make the aggregate anew over a wider type, such as sum(x::numeric).")));
}

/* ---------------------------------------------------------------- the search */

static void
search_rows(Search *search, int first, int end)
{
	int code;

	CHECK_FOR_INTERRUPTS();
	if (is_hopeless(search))
		return;
	code = code_of_rows(search, first, end, NULL);
	if (code == 0)
	{
		search->good += end - first;
		return;
	}
	if (end - first > 1)
	{
		search_rows(search, first, first + (end - first) / 2);
		search_rows(search, first + (end - first) / 2, end);
		return;
	}
	if (code == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
		refuse_overflow(search, first);
	search->codes[first] = code;
	search->bad++;
}

static void
refuse_batch(const Aggregate *aggregate, int code, const char *what)
{
	ereport(ERROR,
			(errcode(code), errsafe(),
			 errmsg("aggregate \"%s\" fails %s with SQLSTATE %s", aggregate->name, what,
					unpack_sql_state(code)),
			 errhint("Its query, the tables it joins, or triggers and constraints of its state "
					 "table raise this.")));
}

int *
poison_find(Aggregate *aggregate, Oid stream, const Batch *batch, int code)
{
	Search search = {
		{aggregate, NULL, {stream, batch, run_skipped_rows(aggregate, batch), 0, batch->nrows}}};

	search.codes = palloc0(sizeof(int) * batch->nrows);
	search_rows(&search, 0, batch->nrows);
	if (is_hopeless(&search) || (search.bad == batch->nrows && batch->nrows > 1))
		refuse_batch(aggregate, code, "on every row");
	if (search.bad == 0)
		refuse_batch(aggregate, code, "on rows that go well one by one");
	return search.codes;
}
