/*
 * session_replay.c - the sessions of an archive's rows, where late rows are left out.
 *
 * Which rows were late depends on the sessions that were open when they came, so the judge goes over the
 * rows again: each with the watermark that it met, in the order in which it was read.  Between partitions
 * that order is not known, so the rows of a key must be of one.  They are held in memory.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "rewrite.h"
#include "run.h"
#include "session.h"
#include "source.h"
#include "streamagg.h"

/* The statement is read under neutral settings and runs under those of the definition. */
static void
read_rows(const SourceRows *rows, Sessions *sessions)
{
	const Source *source = rows->source;
	SPIExecuteOptions options = {.read_only = true, .dest = session_begin(sessions, NULL)};
	const char *sql =
		rewrite_session_archive(source_definition(source, rows->range, rows->only_counted));
	SPIPlanPtr plan = SPI_prepare(sql, 0, NULL);
	int level = NewGUCNestLevel();

	if (plan == NULL)
		elog(ERROR, "could not prepare the archive's rows");
	run_apply_settings(source->timezone, source->datestyle, source->intervalstyle);
	if (SPI_execute_plan_extended(plan, &options) != SPI_OK_SELECT)
		elog(ERROR, "could not read the archive's rows");
	AtEOXact_GUC(true, level);
}

static void
require_order(const Source *source, const Sessions *sessions)
{
	if (session_mixes_partitions(sessions))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the sessions of aggregate \"%s\" cannot be repeated", source->name),
				 errdetail("Late rows are left out of them, and rows of one key came from several "
						   "partitions: the archive does not say in which order."),
				 errhint("Key the topic by what the sessions are of, or use late 'merge'.")));
}

void
session_replay(const SourceRows *rows, void (*body)(void *), void *argument)
{
	const Source *source = rows->source;
	Sessions *sessions =
		session_create(source->definition, source->state, source->leaves_out_after);
	Sessions *before;

	read_rows(rows, sessions);
	require_order(source, sessions);
	session_judge(sessions);
	before = session_offer(sessions);
	PG_TRY();
	{
		body(argument);
	}
	PG_FINALLY();
	{
		(void) session_offer(before);
	}
	PG_END_TRY();
	session_end(sessions);
}
