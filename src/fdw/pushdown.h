/*
 * pushdown.h - what the conditions of a scan say of partitions, offsets and times of records.
 */
#ifndef STREAMAGG_PUSHDOWN_H
#define STREAMAGG_PUSHDOWN_H

#include "nodes/execnodes.h"

typedef enum PushdownKind
{
	PUSHDOWN_PARTITION,
	PUSHDOWN_OFFSET,
	PUSHDOWN_TIME, /* µs, as timestamptz; only its low is of use, see pushdown.c */
	PUSHDOWN_KINDS
} PushdownKind;

/* Both are inclusive; low > high: nothing can match. */
typedef struct PushdownRange
{
	int64 low;
	int64 high;
	bool open_question; /* something narrows it that is not known yet */
} PushdownRange;

typedef struct PushdownBounds
{
	PushdownRange ranges[PUSHDOWN_KINDS];
	bool listed; /* only these partitions: */
	int nlist;
	int64 *list;
} PushdownBounds;

/*
 * The conditions of a scan that narrow what must be read, in the current context.  All of them are
 * checked again by the executor, so what is not understood is left to it.
 */
extern List *pushdown_find(ForeignScanState *node);

/*
 * Their bounds now, in the current context.  With evaluate, parameters and stable functions are
 * evaluated in the node's expression context; without, only constants count.
 */
extern PushdownBounds *pushdown_bounds(List *conditions, ForeignScanState *node, bool evaluate);

/* Whether a partition may hold rows. */
extern bool pushdown_takes_partition(const PushdownBounds *bounds, int32 partition);

#endif
