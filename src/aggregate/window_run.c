/*
 * window_run.c - the windows that an event falls in.
 *
 * tumble and the calendar have one, hop and cumulate several, whose ends ascend: those that have ended
 * at a time are the first ones of the run.  The functions hop() and cumulate() are made of the same
 * runs, so SQL and C cannot disagree.
 *
 * At the ends of time no window comes twice: all that would begin before time does are one, from
 * -infinity to -infinity, as tumble has it, and of one start only one end is infinity.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "streamagg.h"
#include "window_parts.h"
#include "window_run.h"

/* A row costs as much as it has windows. */
#define MOST_WINDOWS 10000

PG_FUNCTION_INFO_V1(streamagg_hop_windows);
PG_FUNCTION_INFO_V1(streamagg_hop_start);
PG_FUNCTION_INFO_V1(streamagg_cumulate_windows);
PG_FUNCTION_INFO_V1(streamagg_cumulate_end);

static int64
divide_up(int64 dividend, int64 divisor)
{
	return (dividend + divisor - 1) / divisor;
}

/* ---------------------------------------------------------------- runs */

static WindowRun
hop_run(const Window *window, TimestampTz ts)
{
	WindowRun run = {.start_step = window->slide, .end_step = window->slide};
	int64 last = window_floor(ts, window->slide, window->origin);

	if (ts - last >= window->size)
		return run;
	run.count = (int) ((window->size - 1 - (ts - last)) / window->slide) + 1;
	run.start = last - (run.count - 1) * window->slide;
	if (run.start < MIN_TIMESTAMP)
	{
		int before = (int) Min(run.count, divide_up(MIN_TIMESTAMP - run.start, window->slide));

		run.start += (before - 1) * window->slide;
		run.count -= before - 1;
	}
	run.end = run.start + window->size;
	return run;
}

static WindowRun
cumulate_run(const Window *window, TimestampTz ts)
{
	int64 start = window_floor(ts, window->size, window->origin);
	int64 end = window_floor(ts, window->slide, window->origin) + window->slide;
	WindowRun run = {1, start, end, 0, window->slide};

	if (start < MIN_TIMESTAMP)
		return run;
	run.count = (int) ((start + window->size - end) / window->slide) + 1;
	if (start + window->size >= END_TIMESTAMP)
		run.count =
			end >= END_TIMESTAMP ? 1 : (int) divide_up(END_TIMESTAMP - end, window->slide) + 1;
	return run;
}

static WindowRun
single_run(const Window *window, TimestampTz ts)
{
	WindowRun run = {.count = 1};

	if (window->kind == WINDOW_TUMBLE)
	{
		run.start = window_floor(ts, window->size, window->origin);
		run.end = run.start + window->size;
		return run;
	}
	run.start = window_truncate(window->unit, window->zone, ts);
	run.end = window_calendar_end(window->unit, window->zone, run.start);
	return run;
}

WindowRun
window_run(const Window *window, TimestampTz event_time)
{
	if (TIMESTAMP_NOT_FINITE(event_time))
		return (WindowRun){.count = 1, .start = event_time, .end = event_time};
	if (window->kind == WINDOW_HOP)
		return hop_run(window, event_time);
	if (window->kind == WINDOW_CUMULATE)
		return cumulate_run(window, event_time);
	return single_run(window, event_time);
}

WindowBounds
window_run_at(const WindowRun *run, int number)
{
	int64 start = run->start + number * run->start_step;

	if (start < MIN_TIMESTAMP)
		return (WindowBounds){DT_NOBEGIN, DT_NOBEGIN};
	return (WindowBounds){window_saturated(start),
						  window_saturated(run->end + number * run->end_step)};
}

TimestampTz
window_align(const Window *window, TimestampTz time)
{
	WindowRun run;

	if (TIMESTAMP_NOT_FINITE(time) || time <= MIN_TIMESTAMP)
		return time;
	run = window_run(window, time - 1);
	return window_run_at(&run, 0).end;
}

int
window_run_ended(const WindowRun *run, TimestampTz until)
{
	int64 ended;

	if (run->count == 0 || TIMESTAMP_IS_NOBEGIN(until))
		return 0;
	if (until >= END_TIMESTAMP)
		return run->count;
	if (until < run->end)
		return run->start < MIN_TIMESTAMP ? 1 : 0;
	ended = run->end_step == 0 ? 1 : (until - run->end) / run->end_step + 1;
	return (int) Min(ended, run->count);
}

/* ---------------------------------------------------------------- what they are made of */

static int64
greatest_divisor(int64 a, int64 b)
{
	while (b != 0)
	{
		int64 rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

Window
window_pane(const Window *window)
{
	Window pane = {.kind = WINDOW_TUMBLE, .origin = window->origin};

	/* a step divides the size */
	pane.size = greatest_divisor(window->size, window->slide);
	return pane;
}

static int64
most_windows(const Window *window)
{
	return divide_up(window->size, window->slide);
}

void
window_check_slide(const Window *window)
{
	if (window->kind == WINDOW_CUMULATE && window->size % window->slide != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the size of cumulate windows must be a multiple of their step")));
	if (most_windows(window) > MOST_WINDOWS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a row would fall in more than %d windows", MOST_WINDOWS),
						errhint("Make the %s longer, or the size shorter.",
								window->kind == WINDOW_HOP ? "slide" : "step")));
}

/* ---------------------------------------------------------------- for SQL */

static Window
window_of(WindowKind kind, Datum slide, Datum size)
{
	Window window = {.kind = kind};

	window.slide = window_size(DatumGetIntervalP(slide));
	window.size = window_size(DatumGetIntervalP(size));
	return window;
}

/* A window of the run of the arguments ts, slide, size, origin, number; false: there is none. */
static bool
find_window(FunctionCallInfo fcinfo, WindowKind kind, WindowBounds *bounds)
{
	Window window = window_of(kind, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2));
	int32 number = PG_GETARG_INT32(4);
	WindowRun run;

	window.origin = PG_GETARG_TIMESTAMPTZ(3);
	window_check_origin(window.origin);
	run = window_run(&window, PG_GETARG_TIMESTAMPTZ(0));
	if (number < 0 || number >= run.count)
		return false;
	*bounds = window_run_at(&run, number);
	return true;
}

/* streamagg.hop_windows(slide, size): the most that a row falls in */
Datum
streamagg_hop_windows(PG_FUNCTION_ARGS)
{
	Window window = window_of(WINDOW_HOP, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));

	window_check_slide(&window);
	PG_RETURN_INT32((int32) most_windows(&window));
}

/* streamagg.hop_start(ts, slide, size, origin, number) */
Datum
streamagg_hop_start(PG_FUNCTION_ARGS)
{
	WindowBounds bounds;

	if (!find_window(fcinfo, WINDOW_HOP, &bounds))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(bounds.start);
}

/* streamagg.cumulate_windows(step, size) */
Datum
streamagg_cumulate_windows(PG_FUNCTION_ARGS)
{
	Window window = window_of(WINDOW_CUMULATE, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));

	window_check_slide(&window);
	PG_RETURN_INT32((int32) most_windows(&window));
}

/* streamagg.cumulate_end(ts, step, size, origin, number) */
Datum
streamagg_cumulate_end(PG_FUNCTION_ARGS)
{
	WindowBounds bounds;

	if (!find_window(fcinfo, WINDOW_CUMULATE, &bounds))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(bounds.end);
}
