/*
 * partition.h - tables that are partitioned by ranges of one column of time: an archive by days, the
 * state of an aggregate with a retention by its windows.
 */
#ifndef STREAMAGG_PARTITION_H
#define STREAMAGG_PARTITION_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* Times in [from, to); DT_NOBEGIN and DT_NOEND: no bound. */
typedef struct PartitionRange
{
	TimestampTz from;
	TimestampTz to;
} PartitionRange;

/*
 * Whether a partition takes this time; *range, unless NULL, is the partition's, or that of the gap
 * between two.  One that is being detached is a gap.
 */
extern bool partition_find(Oid parent, TimestampTz at, PartitionRange *range);

/* Partitions that end at this time or before, by age. */
extern List *partition_before(Oid parent, TimestampTz at);

/* A partition to be made. */
typedef struct PartitionPlan
{
	PartitionRange range;
	const char *label;		   /* of its name, behind the parent's */
	const char *options;	   /* behind CREATE TABLE (…), or "" */
	void (*prepare)(Oid made); /* before it is attached; NULL: nothing */
} PartitionPlan;

/*
 * Inside SPI, as the parent's owner.  It is made as a table of its own and attached, which locks the
 * parent against nothing but other changes of its partitions: batches and readers go on.
 */
extern void partition_make(Oid parent, const PartitionPlan *plan);

#endif
