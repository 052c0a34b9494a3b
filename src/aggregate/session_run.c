/*
 * session_run.c - a batch of an aggregate with session windows, step by step.
 *
 * All steps are within the batch's transaction and guard, and nothing is left of one that failed: the next
 * run begins anew.  Who writes holds the stream's row of stream_progress, so between the search for
 * stored sessions and what is made of it no other batch or push() changes them.  The state's owner might,
 * by hand: then a session that is to be moved is not where it was found, and the batch fails (40001).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "closing.h"
#include "run.h"
#include "session.h"
#include "streamagg.h"

typedef struct Plans
{
	SPIPlanPtr rows;
	SPIPlanPtr whole;
	SPIPlanPtr moves;
} Plans;

/* In a snapshot that sees what this transaction has written, and what was committed before its lock. */
static void
judge(Sessions *sessions)
{
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	session_judge(sessions);
	PopActiveSnapshot();
}

static void
move_stored(const Aggregate *aggregate, SPIPlanPtr plan)
{
	SessionMoves *moves = session_moves(aggregate->sessions);
	int level = NewGUCNestLevel();
	int expected;

	run_apply_lookup_settings();
	while ((expected = session_moves_next(moves)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		run_check_result(aggregate, SPI_execute_plan(plan, NULL, NULL, false, 0),
						 SPI_OK_INSERT_RETURNING);
		if (SPI_processed != (uint64) expected)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("aggregate \"%s\": stored sessions were changed by somebody else",
							aggregate->name)));
		for (int i = 0; i < expected; i++)
		{
			bool isnull;
			Datum tid = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

			session_moves_done(moves, i, (ItemPointer) DatumGetPointer(tid));
		}
		SPI_freetuptable(SPI_tuptable);
	}
	AtEOXact_GUC(true, level);
}

/* A statement that is given, to learn what fails, stands for all that is written. */
static void
write_sessions(const RowRun *run, const Plans *plans)
{
	const Aggregate *aggregate = run->aggregate;

	if (session_rows_kept(aggregate->sessions) == 0)
		return;
	run_check_result(aggregate, SPI_execute_plan(plans->whole, NULL, NULL, false, 0),
					 SPI_OK_INSERT);
	if (run->sql == NULL)
		move_stored(aggregate, plans->moves);
}

static void
run_steps(const RowRun *run, const Plans *plans)
{
	Aggregate *aggregate = run->aggregate;
	Sessions *sessions = aggregate->sessions;
	SPIExecuteOptions options = {.dest = session_begin(sessions, run->rows.batch)};
	Sessions *before;

	run_check_result(aggregate, SPI_execute_plan_extended(plans->rows, &options), SPI_OK_SELECT);
	judge(sessions);
	if (run->sql == NULL)
		closing_look_at_sessions(aggregate);
	before = session_offer(sessions);
	PG_TRY();
	{
		write_sessions(run, plans);
	}
	PG_FINALLY();
	{
		(void) session_offer(before);
	}
	PG_END_TRY();
}

void
session_run(const RowRun *run)
{
	Aggregate *aggregate = run->aggregate;
	BatchStatement *statement = linitial(aggregate->statements);
	int level = NewGUCNestLevel();
	Plans plans;

	run_apply_neutral_settings();
	plans.rows = run_own_plan(&statement->rows, aggregate);
	plans.whole =
		run->sql ? SPI_prepare(run->sql, 0, NULL) : run_own_plan(&statement->whole, aggregate);
	plans.moves = run_own_plan(&statement->moves, aggregate);
	run_apply_settings(aggregate->timezone, aggregate->datestyle, aggregate->intervalstyle);
	run_steps(run, &plans);
	AtEOXact_GUC(true, level);
}
