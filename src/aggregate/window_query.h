/*
 * window_query.h - the window in an aggregate's analysed query.
 */
#ifndef STREAMAGG_WINDOW_QUERY_H
#define STREAMAGG_WINDOW_QUERY_H

#include "nodes/primnodes.h"

#include "definition.h"

/*
 * Whether nothing but the window's own keys depends on which window it is: no condition, other key or
 * aggregate call reads it.
 */
extern bool window_is_key_only(const Definition *definition);

/* Constants for the arguments of a window, in the current context. */
extern Const *window_interval_constant(int64 microseconds);
extern Const *window_time_constant(TimestampTz time);

#endif
