/*
 * definitions.h - what a worker works by: its stream, the aggregates, the archive.
 */
#ifndef STREAMAGG_DEFINITIONS_H
#define STREAMAGG_DEFINITIONS_H

#include "archive.h"
#include "shared.h"
#include "stream.h"

typedef struct Definitions
{
	StreamSlot *slot;
	Stream *stream; /* NULL: not loaded */
	List *aggregates;
	Archive *archive;	   /* NULL: none */
	MemoryContext context; /* of the aggregates and the archive */
} Definitions;

/* From now on changes are noticed; of one per process. */
extern void definitions_watch(Definitions *definitions, StreamSlot *slot);

/* Something has changed since they were loaded, as far as invalidations were accepted. */
extern bool definitions_are_stale(void);

/*
 * At the beginning of a transaction: locks all of them, so that they do not change under a batch, and
 * loads them when they are stale.  Ends the process when the stream is gone or has another owner.
 */
extern void definitions_lock(Definitions *definitions);

/* Inside a transaction.  The same, once the locks are held. */
extern void definitions_load(Definitions *definitions);

#endif
