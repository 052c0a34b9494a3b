/*
 * progress.h - where a stream stands: offsets, counters and watermarks of its partitions.
 */
#ifndef STREAMAGG_PROGRESS_H
#define STREAMAGG_PROGRESS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "fingerprint.h"

typedef struct Counters
{
	int64 read;
	int64 accepted;
	int64 quarantined;
	int64 dropped;
	int64 duplicate;
	int64 tombstones;
	int64 gaps;
	int64 lost;
} Counters;

typedef struct Partition
{
	int32 id;
	bool touched; /* the batch changes it */
	bool idle;
	int64 start_offset;
	int64 first_offset; /* next_offset at the batch's start */
	int64 next_offset;
	int64 high_offset;
	TimestampTz max_event_time; /* DT_NOBEGIN: none accepted yet */
	TimestampTz max_before;		/* that at the batch's start */
	Fingerprint last;			/* of the last record read */
	Counters before;			/* at the batch's start */
	Counters batch;				/* of this batch only */
} Partition;

typedef struct BatchTimes
{
	double read_ms;
	double decode_ms;
	double aggregate_ms;
	double commit_ms;
} BatchTimes;

typedef struct Progress
{
	Oid stream;
	TimestampTz closing; /* as stored: the closing watermark at the batch's start */
	int64 batch;
	int64 log_rows;
	MemoryContext context;
	List *skips; /* see gap.h, as the next */
	List *gaps;
	int npartitions;
	int capacity;
	Partition *partitions; /* by id */
} Progress;

/*
 * Reads the stream's progress into the current context and locks its row until the transaction
 * ends: batches of a stream queue here, and a second worker waits for the first.
 */
extern Progress *progress_lock(Oid stream);

/* The partition; added with these offsets when it is new. */
extern Partition *progress_partition(Progress *progress, int32 id, int64 start_offset);
extern Partition *progress_find(Progress *progress, int32 id);

/*
 * The closing watermark after the batch: the minimum over the active partitions, never back.  Where none
 * is active, and with close_all, the maximum event time seen: for a stream idle long enough.
 */
extern TimestampTz progress_closing(const Progress *progress, int64 delay, bool close_all);

/* The partition stands at this offset, and what was counted of it is forgotten: its log is another. */
extern void progress_begin_anew(Partition *partition, int64 offset);

/*
 * Writes what the batch changed, and its row of the batch log, in one transaction with its data.  times
 * NULL: offsets stay as they are, so that nobody needs to notice; it has no number and is not logged.
 */
extern void progress_store(Progress *progress, TimestampTz closing, const BatchTimes *times);

/* Forgets a dropped stream; its events keep its name, not a number that means something else. */
extern void progress_forget(Oid stream, const char *name);

#endif
