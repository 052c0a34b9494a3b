/*
 * backfill.h - the process of a backfill.
 */
#ifndef STREAMAGG_WORKER_BACKFILL_H
#define STREAMAGG_WORKER_BACKFILL_H

/* What the library calls: the name stands in the registration. */
extern PGDLLEXPORT void streamagg_backfill_main(Datum handle);

#endif
