/*
 * rewrite_parts.h - what the files that write SQL share.
 */
#ifndef STREAMAGG_REWRITE_PARTS_H
#define STREAMAGG_REWRITE_PARTS_H

#include "rewrite.h"

/* A query without GROUP BY has one group, under this constant key. */
#define REWRITE_SINGLE_KEY "_k1"

/* A copy of the expression becomes the next column of a SELECT. */
extern void rewrite_add_target(List **targets, Node *expression, char *name);

#endif
