/*
 * window_parts.h - what the files that know where windows lie share.
 */
#ifndef STREAMAGG_WINDOW_PARTS_H
#define STREAMAGG_WINDOW_PARTS_H

#include "window.h"

/* Beyond the range of time is infinity: one such row must not make a view unreadable. */
extern TimestampTz window_saturated(int64 value);

/* The last origin + n × size that is not behind the finite time; may lie before the range of time. */
extern int64 window_floor(TimestampTz ts, int64 size, TimestampTz origin);

extern TimestampTz window_truncate(const char *unit, const char *zone, TimestampTz ts);
extern TimestampTz window_calendar_end(const char *unit, const char *zone, TimestampTz start);

#endif
