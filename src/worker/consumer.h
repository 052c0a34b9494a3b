/*
 * consumer.h - the worker process of a stream.
 */
#ifndef STREAMAGG_WORKER_CONSUMER_H
#define STREAMAGG_WORKER_CONSUMER_H

extern PGDLLEXPORT void streamagg_worker_main(Datum slot);

#endif
