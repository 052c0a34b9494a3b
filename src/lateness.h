/*
 * lateness.h - how far behind the newest row of their partition the accepted rows of a stream come.
 */
#ifndef STREAMAGG_LATENESS_H
#define STREAMAGG_LATENESS_H

/* Behind the last of them come rows that are later than all delays that are counted by. */
#define LATENESS_BUCKETS 72

/* The rows of a batch that are not the newest of their partition; all zero at its beginning. */
typedef struct Lateness
{
	int64 longest; /* microseconds */
	int64 buckets[LATENESS_BUCKETS];
} Lateness;

/* A row that is so much older, in microseconds, than an earlier accepted one of its partition. */
extern void lateness_add(Lateness *lateness, uint64 delay);

/* Into the stream's counts, in the batch's transaction; rows: all that it has accepted. */
extern void lateness_store(const Lateness *lateness, Oid stream, int64 rows);

#endif
