/*
 * rollup.h - aggregates with greater windows over the groups of another.
 */
#ifndef STREAMAGG_ROLLUP_H
#define STREAMAGG_ROLLUP_H

#include "definition.h"
#include "retention.h"

/*
 * The window of this size that is made of the others.  Errors: 0A000 for windows that cannot be put
 * together to it, 22023 for a size that is none.
 */
extern void rollup_coarsen(const Window *window, const Interval *size, Window *coarser);

/* The query with such windows, SQL, under neutral settings; 0A000 where it would not be the same. */
extern char *rollup_query(Definition *definition, const Window *coarser);

/* An aggregate and its state table. */
typedef struct RollupSide
{
	const Definition *definition;
	Oid state;
	Retention retention;
} RollupSide;

/*
 * Fills a new state table from the state of the aggregate that it rolls up; both definitions have the same
 * keys and calls.  Behind the stream's progress row, within SPI, as the stream's owner.
 */
extern void rollup_fill(const RollupSide *fine, const RollupSide *coarse);

#endif
