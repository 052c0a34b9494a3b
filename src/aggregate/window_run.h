/*
 * window_run.h - the windows that an event falls in: one, or several by ascending ends.
 */
#ifndef STREAMAGG_WINDOW_RUN_H
#define STREAMAGG_WINDOW_RUN_H

#include "window.h"

/* Times may lie beyond the range of time until window_run_at() gives them. */
typedef struct WindowRun
{
	int count;	 /* 0: between two windows */
	int64 start; /* of the first */
	int64 end;
	int64 start_step; /* to the next */
	int64 end_step;
} WindowRun;

typedef struct WindowBounds
{
	TimestampTz start;
	TimestampTz end;
} WindowBounds;

/* window.kind is not WINDOW_NONE. */
extern WindowRun window_run(const Window *window, TimestampTz event_time);
extern WindowBounds window_run_at(const WindowRun *run, int number);

/* How many of them end at or before a time: the first so many. */
extern int window_run_ended(const WindowRun *run, TimestampTz until);

/* The first start at or behind a time, of windows that follow one another; infinite times stay. */
extern TimestampTz window_align(const Window *window, TimestampTz time);

/*
 * Checks slide (step) against size.  Errors: 54000 for more windows a row than there may be, 22023 for
 * a cumulate of a size that is no multiple of its step.
 */
extern void window_check_slide(const Window *window);

/*
 * The window whose events all fall in the same windows of this one: hop and cumulate are made of such
 * panes.
 */
extern Window window_pane(const Window *window);

#endif
