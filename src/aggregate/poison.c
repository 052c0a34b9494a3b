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

/* So many bad rows and no good one: rows elsewhere are asked whether this is about rows at all. */
#define ENOUGH_BAD_ROWS 20
#define SAMPLE 20

/* Rows of a batch that fail only behind others: finding each takes many runs over the whole. */
#define MOST_TOGETHER 100

typedef struct Search
{
	RowRun run;
	int *codes;
	int bad;
	int good;
	bool sampled;
	bool all_may_fail; /* rows that were refused before */
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

/* Rows spread over the batch, one by one. */
static void
sample_rows(Search *search)
{
	int count = search->run.rows.batch->nrows;

	search->sampled = true;
	for (int i = 0; i < SAMPLE && search->good == 0; i++)
	{
		int row = (int) ((int64) count * i / SAMPLE) + count / SAMPLE / 2;

		if (code_of_rows(search, row, row + 1, NULL) == 0)
			search->good++;
	}
}

static bool
is_hopeless(Search *search)
{
	if (search->all_may_fail || search->bad < ENOUGH_BAD_ROWS || search->good > 0)
		return false;
	if (!search->sampled)
		sample_rows(search);
	return search->good == 0;
}

/* ---------------------------------------------------------------- overflow */

/* The column whose merge alone fails on the row; NULL: none, it is the rows of the batch together. */
static const char *
overflowing_column(Search *search, int row)
{
	ListCell *cell;
	ListCell *inner;

	foreach (cell, search->run.aggregate->statements)
	{
		const Upsert *upsert = ((BatchStatement *) lfirst(cell))->upsert;

		foreach (inner, upsert->merges)
		{
			const StateMerge *merge = lfirst(inner);

			if (code_of_rows(search, row, row + 1,
							 rewrite_upsert_sql(upsert, upsert->insert, merge)))
				return merge->column;
		}
	}
	return NULL;
}

/* The sum has come to its type's end: to quarantine rows for it would lose one after the other. */
static void
raise_overflow(Search *search, int row)
{
	const Aggregate *aggregate = search->run.aggregate;
	const BatchRow *found = &search->run.rows.batch->rows[row];
	const char *column = overflowing_column(search, row); /* here, since it catches errors */

	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 column
				 ? errmsg("aggregate \"%s\": column \"%s\" of a stored group would overflow",
						  aggregate->name, column)
				 : errmsg("aggregate \"%s\": a value of a group would overflow", aggregate->name),
			 errdetail("It is the group of the record of partition %d, offset " INT64_FORMAT ".",
					   found->partition, found->offset),
			 errhint("Make the aggregate anew over a wider type, such as sum(x::numeric).")));
}

/* A row that goes in alone, but not onto what is stored. */
static void
refuse_overflow(Search *search, int row)
{
	ListCell *cell;

	foreach (cell, search->run.aggregate->statements)
	{
		const char *insert = ((BatchStatement *) lfirst(cell))->upsert->insert;

		if (code_of_rows(search, row, row + 1, psprintf("%s ON CONFLICT DO NOTHING", insert)))
			return;
	}
	raise_overflow(search, row);
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
			(errcode(code),
			 errmsg("aggregate \"%s\" fails %s with SQLSTATE %s", aggregate->name, what,
					unpack_sql_state(code)),
			 errhint("Its query, the tables it joins, or triggers and constraints of its state "
					 "table raise this.")));
}

/*
 * No row fails alone: the first that fails behind those before it, as it would have, had they come
 * one by one.
 */
static void
blame_first_after_others(Search *search)
{
	int passes = 0;
	int fails = search->run.rows.batch->nrows;
	int code = 0;

	while (fails - passes > 1)
	{
		int middle = passes + (fails - passes) / 2;
		int found = code_of_rows(search, 0, middle, NULL);

		CHECK_FOR_INTERRUPTS();
		code = found ? found : code;
		*(found ? &fails : &passes) = middle;
	}
	code = code ? code : code_of_rows(search, 0, fails, NULL);
	if (code == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
		raise_overflow(search, fails - 1);
	search->codes[fails - 1] = code;
}

int *
poison_find(Aggregate *aggregate, Oid stream, const Batch *batch, int code, bool all_may_fail)
{
	Search search = {{aggregate, NULL, run_offer(aggregate, stream, batch)}};

	search.all_may_fail = all_may_fail;
	search.codes = palloc0(sizeof(int) * batch->nrows);
	search_rows(&search, 0, batch->nrows);
	if (is_hopeless(&search) || (search.bad == batch->nrows && batch->nrows > 1 && !all_may_fail))
		refuse_batch(aggregate, code, "on every row");
	if (search.bad == 0)
	{
		if (++aggregate->together > MOST_TOGETHER)
			refuse_batch(aggregate, code, "on rows that go well one by one");
		blame_first_after_others(&search);
	}
	return search.codes;
}
