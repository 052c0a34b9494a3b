/*
 * path.h - the path option of a column: keys joined by dots, "a.b".c quotes a key.
 */
#ifndef STREAMAGG_PATH_H
#define STREAMAGG_PATH_H

#include "nodes/pg_list.h"

/* The keys as a list of C strings, palloc'd; NIL for text that is no path. */
extern List *path_parse(const char *text);

#endif
