/*
 * window.c - where windows start and end.
 *
 * The same functions serve the SQL of a batch, the count of late rows and the views, so they cannot
 * disagree.  Windows are half-open; sizes count 24 hours a day, whatever the zone; date_trunc
 * windows end where the zone's calendar says.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "streamagg.h"
#include "window.h"

#define MAX_SIZE (1000000 * USECS_PER_DAY)
#define TWO_YEARS (732 * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(streamagg_window_start);
PG_FUNCTION_INFO_V1(streamagg_window_end);
PG_FUNCTION_INFO_V1(streamagg_calendar_window_end);

/* Beyond the range of time is infinity: one such row must not make a view unreadable. */
static TimestampTz
saturated(int64 value)
{
	if (value >= END_TIMESTAMP)
		return DT_NOEND;
	return value < MIN_TIMESTAMP ? DT_NOBEGIN : value;
}

int64
window_size(const Interval *size)
{
	int64 days;
	int64 found;

	if (size->month != 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("windows of months or years have no fixed size"),
						errhint("Group by date_trunc('month', …, 'UTC').")));
	if (pg_mul_s64_overflow(size->day, USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(days, size->time, &found))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("interval out of range")));
	if (found <= 0 || found > MAX_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the size of a window must be positive and at most a million days")));
	return found;
}

/* Floors, before the origin, too.  Remainders first: the distance itself might overflow. */
static TimestampTz
start_of(TimestampTz ts, int64 size, TimestampTz origin)
{
	int64 rest = (ts % size - origin % size) % size;

	return saturated(ts - (rest < 0 ? rest + size : rest));
}

static TimestampTz
end_of(TimestampTz start, int64 size)
{
	int64 end;

	return pg_add_s64_overflow(start, size, &end) ? DT_NOEND : saturated(end);
}

/* streamagg.window_start(ts, size, origin) */
Datum
streamagg_window_start(PG_FUNCTION_ARGS)
{
	TimestampTz ts = PG_GETARG_TIMESTAMPTZ(0);
	int64 size = window_size(PG_GETARG_INTERVAL_P(1));
	TimestampTz origin = PG_GETARG_TIMESTAMPTZ(2);

	if (TIMESTAMP_NOT_FINITE(ts))
		PG_RETURN_TIMESTAMPTZ(ts);
	if (TIMESTAMP_NOT_FINITE(origin))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the origin of windows must be finite")));
	PG_RETURN_TIMESTAMPTZ(start_of(ts, size, origin));
}

/* streamagg.window_end(window_start, size) */
Datum
streamagg_window_end(PG_FUNCTION_ARGS)
{
	TimestampTz start = PG_GETARG_TIMESTAMPTZ(0);
	int64 size = window_size(PG_GETARG_INTERVAL_P(1));

	if (TIMESTAMP_NOT_FINITE(start))
		PG_RETURN_TIMESTAMPTZ(start);
	PG_RETURN_TIMESTAMPTZ(end_of(start, size));
}

/* ---------------------------------------------------------------- the calendar */

static const struct
{
	const char *unit;
	int months;
	int days;
	int64 time;
} units[] = {
	{"second", 0, 0, USECS_PER_SEC},
	{"minute", 0, 0, USECS_PER_MINUTE},
	{"hour", 0, 0, USECS_PER_HOUR},
	{"day", 0, 1, 0},
	{"week", 0, 7, 0},
	{"month", 1, 0, 0},
	{"quarter", 3, 0, 0},
	{"year", 12, 0, 0},
};

static int
find_unit(const char *unit)
{
	for (size_t i = 0; i < lengthof(units); i++)
		if (pg_strcasecmp(units[i].unit, unit) == 0)
			return i;
	return -1;
}

static TimestampTz
truncate_to(const char *unit, const char *zone, TimestampTz ts)
{
	return DatumGetTimestampTz(
		DirectFunctionCall3(timestamptz_trunc_zone, CStringGetTextDatum(unit),
							TimestampTzGetDatum(ts), CStringGetTextDatum(zone)));
}

void
window_check_unit(const char *unit, const char *zone)
{
	if (find_unit(unit) < 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("date_trunc('%s', …) is not supported as a window", unit),
						errhint("Units are second, minute, hour, day, week, month, quarter and "
								"year.")));
	(void) truncate_to(unit, zone, 0);
}

/* A day later by the clock on the wall, which may be 23 or 25 hours. */
static TimestampTz
calendar_end(const char *unit, const char *zone, TimestampTz start)
{
	int found = find_unit(unit);
	Datum zone_text = CStringGetTextDatum(zone);
	Interval step = {0};
	Datum local;

	if (found < 0)
		window_check_unit(unit, zone);
	if (units[found].time != 0)
		return saturated(start + units[found].time);
	if (start > END_TIMESTAMP - TWO_YEARS)
		return DT_NOEND;
	step.day = units[found].days;
	step.month = units[found].months;
	local = DirectFunctionCall2(timestamptz_zone, zone_text, TimestampTzGetDatum(start));
	local = DirectFunctionCall2(timestamp_pl_interval, local, IntervalPGetDatum(&step));
	return DatumGetTimestampTz(DirectFunctionCall2(timestamp_zone, zone_text, local));
}

/* streamagg.window_end(window_start, unit, zone) */
Datum
streamagg_calendar_window_end(PG_FUNCTION_ARGS)
{
	TimestampTz start = PG_GETARG_TIMESTAMPTZ(0);

	if (TIMESTAMP_NOT_FINITE(start))
		PG_RETURN_TIMESTAMPTZ(start);
	PG_RETURN_TIMESTAMPTZ(calendar_end(text_to_cstring(PG_GETARG_TEXT_PP(1)),
									   text_to_cstring(PG_GETARG_TEXT_PP(2)), start));
}

/* ---------------------------------------------------------------- for C */

TimestampTz
window_end_of(const Window *window, TimestampTz event_time)
{
	if (window->kind == WINDOW_SESSION)
		return end_of(event_time, window->size);
	if (window->kind == WINDOW_TUMBLE)
		return end_of(start_of(event_time, window->size, window->origin), window->size);
	return calendar_end(window->unit, window->zone,
						truncate_to(window->unit, window->zone, event_time));
}

char *
window_start_sql(const Window *window, const char *time_sql)
{
	if (window->kind == WINDOW_TUMBLE)
		return psprintf("streamagg.window_start(%s, '" INT64_FORMAT " microseconds'::interval, "
						"'%s'::timestamptz)",
						time_sql, window->size, timestamptz_to_str(window->origin));
	if (window->kind == WINDOW_SESSION)
		return pstrdup(time_sql);
	return psprintf("pg_catalog.date_trunc(%s::text, %s, %s::text)",
					quote_literal_cstr(window->unit), time_sql, quote_literal_cstr(window->zone));
}

char *
window_shift_sql(const char *time_sql, int64 plus)
{
	if (plus == 0)
		return pstrdup(time_sql);
	return psprintf("streamagg.window_end(%s, '" INT64_FORMAT " microseconds'::interval)", time_sql,
					plus);
}

char *
window_end_sql(const Window *window, const char *start_sql, int64 plus)
{
	if (window->kind == WINDOW_TUMBLE || window->kind == WINDOW_SESSION)
		return psprintf("streamagg.window_end(%s, '" INT64_FORMAT " microseconds'::interval)",
						start_sql, window->size + plus);
	return window_shift_sql(psprintf("streamagg.window_end(%s, %s::text, %s::text)", start_sql,
									 quote_literal_cstr(window->unit),
									 quote_literal_cstr(window->zone)),
							plus);
}
