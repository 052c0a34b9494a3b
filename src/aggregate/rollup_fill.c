/*
 * rollup_fill.c - the states of greater windows from those of smaller ones.
 *
 * Merge rules join two states, so the states of a group are joined two by two, as a tournament: each round
 * halves them, and a day of minutes takes eleven.  The tables between are gone with the transaction's
 * end or before.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "define.h"
#include "rewrite.h"
#include "rollup.h"
#include "rules.h"
#include "side.h"
#include "stream.h"
#include "streamagg.h"

/* A rollup at work. */
typedef struct Filling
{
	const Definition *fine;
	const Definition *coarse;
	const char *coarse_state;
	Oid state; /* makes the names of the tables between unique */
} Filling;

static char *
round_name(const Filling *filling, int round)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(filling->state)),
									  psprintf("_streamagg_rollup_%u_%d", filling->state, round));
}

/* Each state as it is, its group's number, and its own number within the group. */
static char *
first_round(const Filling *filling, const char *fine_state)
{
	const Definition *fine = filling->fine;
	const Definition *coarse = filling->coarse;
	StringInfoData columns;
	StringInfoData keys;

	initStringInfo(&columns);
	initStringInfo(&keys);
	for (int i = 0; i < fine->nkeys; i++)
	{
		const char *from = psprintf("s.%s", quote_identifier(fine->keys[i].column));

		if (i == 0)
			from = window_start_sql(&coarse->window, from);
		appendStringInfo(&columns, "%s AS %s, ", from, quote_identifier(coarse->keys[i].column));
		appendStringInfo(&keys, "%s%s", i ? ", " : "", from);
	}
	for (int i = 0; i < fine->ncalls; i++)
		for (int j = 0; fine->calls[i].side == 0 && j < fine->calls[i].rule->count; j++)
			appendStringInfo(&columns, "s.%s AS %s, ", quote_identifier(fine->calls[i].columns[j]),
							 quote_identifier(coarse->calls[i].columns[j]));
	return psprintf("SELECT %s pg_catalog.dense_rank() OVER (ORDER BY %s) AS _group,"
					" pg_catalog.row_number() OVER (PARTITION BY %s) AS _number FROM %s s",
					columns.data, keys.data, keys.data, fine_state);
}

/* Every second with the one behind it. */
static char *
next_round(const Filling *filling, const char *before)
{
	const Definition *coarse = filling->coarse;
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < coarse->nkeys; i++)
		appendStringInfo(&columns, "a.%s, ", quote_identifier(coarse->keys[i].column));
	for (int i = 0; i < coarse->ncalls; i++)
		for (int j = 0; coarse->calls[i].side == 0 && j < coarse->calls[i].rule->count; j++)
		{
			const char *column = quote_identifier(coarse->calls[i].columns[j]);
			const char *sides[2] = {psprintf("a.%s", column), psprintf("b.%s", column)};

			appendStringInfo(
				&columns, "CASE WHEN b._group IS NULL THEN a.%s ELSE %s END AS %s, ", column,
				rules_apply(coarse->calls[i].rule->merges[j], sides, lengthof(sides)), column);
		}
	return psprintf("SELECT %s a._group, (a._number + 1) / 2 AS _number FROM %s a LEFT JOIN %s b"
					" ON b._group = a._group AND b._number = a._number + 1"
					" WHERE a._number %% 2 = 1",
					columns.data, before, before);
}

static bool
has_pairs(const char *round)
{
	if (SPI_execute(psprintf("SELECT FROM %s WHERE _number = 2 LIMIT 1", round), false, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read %s", round);
	return SPI_processed > 0;
}

static void
take_result(const Filling *filling, const char *round)
{
	const Definition *coarse = filling->coarse;
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < coarse->nkeys; i++)
		appendStringInfo(&columns, "%s, ", quote_identifier(coarse->keys[i].column));
	for (int i = 0; i < coarse->ncalls; i++)
		for (int j = 0; coarse->calls[i].side == 0 && j < coarse->calls[i].rule->count; j++)
			appendStringInfo(&columns, "%s, ", quote_identifier(coarse->calls[i].columns[j]));
	if (SPI_execute(psprintf("INSERT INTO %s (%supdated_at) SELECT %spg_catalog.now() FROM %s",
							 filling->coarse_state, columns.data, columns.data, round),
					false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not fill %s", filling->coarse_state);
}

/* Partitions for the windows, where they are kept for a time only. */
static void
make_room(const RollupSide *coarse, const char *round)
{
	const char *key = quote_identifier(coarse->definition->keys[0].column);
	TimestampTz *starts;
	ListCell *cell;
	bool isnull;
	int count;

	if (coarse->retention.length == 0)
		return;
	if (SPI_execute(psprintf("SELECT DISTINCT %s FROM %s", key, round), false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read %s", round);
	count = (int) SPI_processed;
	starts = palloc(sizeof(TimestampTz) * Max(count, 1));
	for (int i = 0; i < count; i++)
		starts[i] = DatumGetTimestampTz(catalog_value(i, 1, &isnull));
	foreach (cell, lcons_oid(coarse->state, side_tables(coarse->state)))
		retention_make_room_for(lfirst_oid(cell), &coarse->retention, starts, count);
}

/* DISTINCT values of the greater windows are those of the smaller ones, each once. */
static void
take_values(const Filling *filling, int side)
{
	const Definition *part = definition_part(filling->fine, side);
	StringInfoData columns;
	Upsert *upsert;

	initStringInfo(&columns);
	for (int i = 0; i < part->nkeys; i++)
	{
		const char *from = psprintf("s.%s", quote_identifier(part->keys[i].column));

		if (i == 0 && part->nwindow > 0)
			from = window_start_sql(&filling->coarse->window, from);
		appendStringInfo(&columns, "%s%s AS _k%d", i ? ", " : "", from, i + 1);
	}
	upsert = rewrite_distinct_from(filling->coarse, side, filling->coarse_state,
								   psprintf("(SELECT %s FROM %s s) i WHERE true", columns.data,
											filling->fine->sides[side - 1]));
	if (SPI_execute(rewrite_upsert_sql(upsert, upsert->insert, NULL), false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not fill %s", filling->coarse_state);
}

void
rollup_fill(const RollupSide *fine, const RollupSide *coarse)
{
	Filling filling = {fine->definition, coarse->definition, stream_name(coarse->state),
					   coarse->state};
	char *round = round_name(&filling, 0);

	define_run(psprintf("CREATE UNLOGGED TABLE %s AS %s", round,
						first_round(&filling, stream_name(fine->state))));
	for (int i = 1; has_pairs(round); i++)
	{
		char *next = round_name(&filling, i);

		CHECK_FOR_INTERRUPTS();
		define_run(psprintf("CREATE UNLOGGED TABLE %s AS %s", next, next_round(&filling, round)));
		define_run(psprintf("DROP TABLE %s", round));
		round = next;
	}
	make_room(coarse, round);
	take_result(&filling, round);
	for (int i = 1; i <= filling.coarse->nsides; i++)
		take_values(&filling, i);
	define_run(psprintf("DROP TABLE %s", round));
}
