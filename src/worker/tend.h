/*
 * tend.h - the keeper's housekeeping of partitioned tables.
 */
#ifndef STREAMAGG_WORKER_TEND_H
#define STREAMAGG_WORKER_TEND_H

/* Outside a transaction, once a minute, or now. */
extern void tend_partitions(bool now);

#endif
