/*
 * closing_session.c - sessions that are closed when late rows make them, or make them longer.
 *
 * No watermark passes their ends any more.  They cannot be looked for around the rows, as other windows are:
 * a row may join sessions of any length.  But the judge knows them, before they are written; of those that
 * are closed, the ones whose times no stored session has count as closed by this batch.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "closing_parts.h"
#include "session.h"
#include "stream.h"

typedef struct Times
{
	TimestampTz start;
	TimestampTz end;
} Times;

struct ClosingSessions
{
	MemoryContext context;
	TimestampTz until; /* sessions that end by then are closed */
	uint64 count;
	Times *times; /* in order */
};

void
closing_begin_sessions(Aggregate *aggregate, TimestampTz until)
{
	struct ClosingSessions *late = palloc0(sizeof(struct ClosingSessions));

	late->context = CurrentMemoryContext;
	late->until = until;
	aggregate->late_sessions = late;
}

void
closing_forget(List *aggregates)
{
	ListCell *cell;

	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);

		if (aggregate->late_sessions)
			aggregate->late_sessions->count = 0;
	}
}

/* Those of these times that the state does not have, each once. */
static char *
unknown_sql(const Aggregate *aggregate)
{
	const Key *keys = aggregate->definition->keys;

	return psprintf("SELECT DISTINCT n.a, n.b FROM unnest($1, $2) AS n (a, b)"
					" WHERE NOT EXISTS (SELECT FROM %s s WHERE s.%s = n.b AND s.%s = n.a)"
					" ORDER BY 1, 2",
					stream_name(aggregate->state), quote_identifier(keys[1].column),
					quote_identifier(keys[0].column));
}

static void
remember_found(struct ClosingSessions *late)
{
	bool isnull;

	late->count = SPI_processed;
	late->times = MemoryContextAllocHuge(late->context, sizeof(Times) * Max(late->count, 1));
	for (uint64 i = 0; i < late->count; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];

		late->times[i].start =
			DatumGetTimestampTz(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		late->times[i].end =
			DatumGetTimestampTz(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

void
closing_look_at_sessions(Aggregate *aggregate)
{
	static Oid types[2] = {TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID};
	struct ClosingSessions *late = aggregate->late_sessions;
	Datum *starts;
	Datum *ends;
	Datum values[2];
	int count = late ? session_new_times(aggregate->sessions, late->until, &starts, &ends) : 0;
	int level;

	if (count == 0)
		return;
	values[0] = catalog_array(starts, NULL, count, TIMESTAMPTZOID);
	values[1] = catalog_array(ends, NULL, count, TIMESTAMPTZOID);
	level = NewGUCNestLevel();
	run_apply_lookup_settings();
	run_check_result(
		aggregate, SPI_execute_with_args(unknown_sql(aggregate), 2, types, values, NULL, false, 0),
		SPI_OK_SELECT);
	AtEOXact_GUC(true, level);
	remember_found(late);
}

void
closing_tell_sessions(const Aggregate *aggregate, ClosingSink sink, void *argument)
{
	const struct ClosingSessions *late = aggregate->late_sessions;

	for (uint64 i = 0; late && i < late->count; i++)
		sink(argument, late->times[i].start, late->times[i].end);
}
