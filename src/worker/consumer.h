/*
 * consumer.h - the worker process of a stream.
 */
#ifndef STREAMAGG_WORKER_CONSUMER_H
#define STREAMAGG_WORKER_CONSUMER_H

#define WORKER_MAX_BATCH 100000 /* records */

extern PGDLLEXPORT void streamagg_worker_main(Datum slot);

#endif
