/*
 * closing.c - finds the windows that a step of the closing watermark closes, and tells of them.
 *
 * Which they are follows from the watermark before and after the batch, which is read and written behind
 * the lock of the stream's progress: so each is found once, and what is told of it is part of the
 * transaction that closed it.  The state is asked only when an end of a window can lie on the way, and
 * then its windows are hopped over by the index of its key, however many groups they have.
 * closing_late.c and closing_session.c find the windows that late rows make.  Where a session ends, no
 * arithmetic says: each step asks the index of their ends.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "common/int.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "close_hook.h"
#include "closing_parts.h"
#include "rewrite_parts.h"
#include "streamagg.h"
#include "window_run.h"

#define CHANNEL "streamagg_window"
#define FETCH 1000
/* Of an aggregate and a batch, one by one. */
#define MAX_NOTIFICATIONS 1000
/* Share of the queue of notifications that may be full: when all is, no commit succeeds. */
#define MAX_QUEUE 0.5

/* ---------------------------------------------------------------- the statement */

static char *
window_columns(const Definition *definition, const char *alias)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < definition->nwindow; i++)
		appendStringInfo(&list, "%s%s%s", i ? ", " : "", alias,
						 quote_identifier(definition->keys[i].column));
	return list.data;
}

static char *
session_sql(const Definition *definition, const char *state)
{
	const char *end = quote_identifier(definition->keys[1].column);

	return psprintf("SELECT DISTINCT s.%s, s.%s FROM %s s WHERE s.%s > $1 AND s.%s <= $2"
					" ORDER BY 1, 2",
					quote_identifier(definition->keys[0].column), end, state, end, end);
}

char *
closing_sql(const Definition *definition, const char *state, int64 lateness)
{
	const char *first;
	const char *columns;
	const char *ends;

	if (definition->nwindow == 0)
		return NULL;
	if (definition->window.kind == WINDOW_SESSION)
		return session_sql(definition, state);
	first = psprintf("s.%s", quote_identifier(definition->keys[0].column));
	columns = window_columns(definition, "s.");
	ends = rewrite_window_end(definition, "s", lateness);
	return psprintf("WITH RECURSIVE w (%s) AS ("
					"(SELECT %s FROM %s s WHERE %s > $1 AND %s < $2 ORDER BY %s LIMIT 1)"
					" UNION ALL SELECT n.* FROM w, LATERAL (SELECT %s FROM %s s"
					" WHERE (%s) > (%s) AND %s < $2 ORDER BY %s LIMIT 1) n)"
					" SELECT %s, %s FROM w s WHERE %s > $3 AND %s <= $4",
					window_columns(definition, ""), columns, state, first, first, columns, columns,
					state, columns, window_columns(definition, "w."), first, columns, first,
					rewrite_window_end(definition, "s", 0), ends, ends);
}

/* Each of its steps is to go down the index: the planner may not know yet how much there is. */
static Portal
open_cursor(Aggregate *aggregate, Datum *values)
{
	static Oid types[4] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	int level = NewGUCNestLevel();
	Portal portal;

	run_apply_neutral_settings();
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	if (aggregate->closing.plan == NULL)
	{
		aggregate->closing.plan = SPI_prepare(aggregate->closing.sql, lengthof(types), types);
		if (aggregate->closing.plan == NULL || SPI_keepplan(aggregate->closing.plan) != 0)
			elog(ERROR, "could not prepare the closing of aggregate \"%s\"", aggregate->name);
	}
	portal = SPI_cursor_open(NULL, aggregate->closing.plan, values, NULL, false);
	AtEOXact_GUC(true, level);
	return portal;
}

/* ---------------------------------------------------------------- notifications */

/* A listener that does not take its notifications must not stop the stream. */
static bool
may_notify(void)
{
	if (DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE)) <= MAX_QUEUE)
		return true;
	ereport(LOG,
			(errmsg("closed windows are not notified: the queue of notifications is half full"),
			 errhint("A session listens, but does not end its transaction.")));
	return false;
}

static void
append_time(StringInfo payload, const char *name, TimestampTz time)
{
	char text[MAXDATELEN + 1];
	int utc = 0;

	JsonEncodeDateTime(text, TimestampTzGetDatum(time), TIMESTAMPTZOID, &utc);
	appendStringInfo(payload, ", \"%s\": \"%s\"", name, text);
}

static void
begin_payload(StringInfo payload, const char *aggregate)
{
	initStringInfo(payload);
	appendStringInfoString(payload, "{\"aggregate\": ");
	escape_json(payload, aggregate);
}

static void
notify_window(const char *aggregate, TimestampTz start, TimestampTz end)
{
	StringInfoData payload;

	begin_payload(&payload, aggregate);
	append_time(&payload, "window_start", start);
	append_time(&payload, "window_end", end);
	appendStringInfoChar(&payload, '}');
	Async_Notify(CHANNEL, payload.data);
	pfree(payload.data);
}

static void
notify_rest(const char *aggregate, int64 count, TimestampTz from, TimestampTz to)
{
	StringInfoData payload;

	begin_payload(&payload, aggregate);
	appendStringInfo(&payload, ", \"windows\": " INT64_FORMAT, count);
	append_time(&payload, "from", from);
	append_time(&payload, "to", to);
	appendStringInfoChar(&payload, '}');
	Async_Notify(CHANNEL, payload.data);
	pfree(payload.data);
}

/* ---------------------------------------------------------------- closed windows */

/* Of one aggregate and batch. */
typedef struct Told
{
	const Aggregate *aggregate;
	bool notifies;
	int64 count;
	TimestampTz from; /* of those that were not told one by one */
	TimestampTz to;
	int buffered; /* for the hook */
	Datum starts[FETCH];
	Datum ends[FETCH];
} Told;

static void
flush_to_hook(Told *told)
{
	if (told->buffered > 0)
		close_hook_add(told->aggregate->view, told->starts, told->ends, told->buffered);
	told->buffered = 0;
}

static void
tell_window(void *argument, TimestampTz start, TimestampTz end)
{
	Told *told = argument;

	if (told->count++ == 0)
		told->notifies = may_notify();
	if (told->count > MAX_NOTIFICATIONS)
	{
		told->from = Min(told->from, start);
		told->to = Max(told->to, end);
	}
	else if (told->notifies)
		notify_window(told->aggregate->name, start, end);
	if (!told->aggregate->has_hook)
		return;
	told->starts[told->buffered] = TimestampTzGetDatum(start);
	told->ends[told->buffered++] = TimestampTzGetDatum(end);
	if (told->buffered == FETCH)
		flush_to_hook(told);
}

void
closing_find(Aggregate *aggregate, Datum *values, ClosingSink sink, void *argument)
{
	Portal portal;
	bool isnull;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	portal = open_cursor(aggregate, values);
	for (SPI_cursor_fetch(portal, true, FETCH); SPI_processed > 0;
		 SPI_cursor_fetch(portal, true, FETCH))
	{
		SPITupleTable *table = SPI_tuptable;

		for (uint64 i = 0; i < table->numvals; i++)
			sink(argument,
				 DatumGetTimestampTz(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull)),
				 DatumGetTimestampTz(SPI_getbinval(table->vals[i], table->tupdesc, 2, &isnull)));
		SPI_freetuptable(table);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

TimestampTz
closing_earlier(TimestampTz time, int64 by)
{
	int64 found;

	if (TIMESTAMP_NOT_FINITE(time) || pg_sub_s64_overflow(time, by, &found))
		return DT_NOBEGIN;
	return found;
}

/* The windows whose ends the watermark has passed on its way. */
static void
find_passed(Told *told, Aggregate *aggregate, TimestampTz before, TimestampTz after)
{
	TimestampTz from = closing_earlier(before, aggregate->lateness);
	TimestampTz to = closing_earlier(after, aggregate->lateness);
	const Window *window = &aggregate->definition->window;
	int64 back = window->kind == WINDOW_SESSION ? 0 : window_longest(window);
	Datum values[4] = {TimestampTzGetDatum(closing_earlier(from, back)), TimestampTzGetDatum(to),
					   TimestampTzGetDatum(before), TimestampTzGetDatum(after)};

	if (after > before && window_next_end(window, from) <= to)
		closing_find(aggregate, values, tell_window, told);
}

void
closing_announce(List *aggregates, TimestampTz before, TimestampTz after)
{
	ListCell *cell;

	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);
		Told told = {.aggregate = aggregate, .from = DT_NOEND, .to = DT_NOBEGIN};

		if (aggregate->closing.sql == NULL)
			continue;
		closing_find_new(aggregate, before, tell_window, &told);
		closing_tell_sessions(aggregate, tell_window, &told);
		find_passed(&told, aggregate, before, after);
		flush_to_hook(&told);
		if (told.notifies && told.count > MAX_NOTIFICATIONS)
			notify_rest(aggregate->name, told.count - MAX_NOTIFICATIONS, told.from, told.to);
	}
}
