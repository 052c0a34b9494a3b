/*
 * rewrite_parts.h - what the files that write SQL share.
 */
#ifndef STREAMAGG_REWRITE_PARTS_H
#define STREAMAGG_REWRITE_PARTS_H

#include "rewrite.h"

/* A copy of the expression becomes the next column of a SELECT. */
extern void rewrite_add_target(List **targets, Node *expression, char *name);

/* "(inner SELECT) i", less the pairs of row and window that the definition leaves out. */
extern char *rewrite_pairs(const Definition *definition);

/* SQL of the end of a stored group's window, plus a time; alias is the state table's in the query. */
extern char *rewrite_window_end(const Definition *definition, const char *alias, int64 plus);

/* A value of a call, NULL for groups of the table alias that do not know it. */
extern char *rewrite_if_known(const Call *call, const char *alias, char *value);

#endif
