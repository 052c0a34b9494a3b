/*
 * standing.h - how a worker is doing, told in its slot.
 */
#ifndef STREAMAGG_STANDING_H
#define STREAMAGG_STANDING_H

#include "shared.h"

/* All times are monotonic milliseconds. */
typedef struct Standing
{
	double started;
	double trouble_since; /* 0: none */
	bool in_trouble;	  /* and said so */
	bool proved;		  /* something has gone well since the start */
	double window_start;  /* of rows and busy_ms */
	double busy_ms;
	int64 rows;
} Standing;

/* Every two seconds: rows a second and busy share; after a healthy minute failures are forgotten. */
extern void standing_report_rate(Standing *standing, StreamSlot *slot);

/* A batch is committed, or all is read: the stream runs, whatever was before. */
extern void standing_prove(Standing *standing, StreamSlot *slot);

/* trouble: why nothing can be read, or NULL. */
extern void standing_report_trouble(Standing *standing, StreamSlot *slot, const char *stream,
									const char *trouble);

/* what: for whom a stream that runs waits; empty: for nobody. */
extern void standing_report_waiting(StreamSlot *slot, const char *what);

#endif
