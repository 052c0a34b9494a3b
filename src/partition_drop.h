/*
 * partition_drop.h - old partitions go: noted, detached, dropped, each in a transaction of its own.
 */
#ifndef STREAMAGG_PARTITION_DROP_H
#define STREAMAGG_PARTITION_DROP_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "catalog.h"

struct PartitionRules;

/* A partitioned table whose old partitions go. */
typedef struct PartitionExpiry
{
	const struct PartitionRules *rules;
	Oid parent;
	Oid stream;
	Oid partition; /* that goes */
} PartitionExpiry;

/* What differs between an archive and a state.  All run inside a transaction. */
typedef struct PartitionRules
{
	const char *event; /* in the log of events */
	/* The time that partitions must end before to go; false: they all stay. */
	bool (*horizon)(const PartitionExpiry *expiry, TimestampTz *before);
	/* Whether this table, which is no partition any more, was one. */
	bool (*is_ours)(const PartitionExpiry *expiry);
	/* When one was noted; NULL: nothing. */
	void (*noted)(const PartitionExpiry *expiry);
} PartitionRules;

/*
 * For the keeper, outside a transaction: a PartitionExpiry for each row (table, stream) that a statement
 * finds, in the current context.
 */
extern List *partition_read_parents(CatalogStatement *statement, const Datum *values,
									const PartitionRules *rules);

/* For the keeper, outside a transaction, see worker/tend.c.  False: it failed, and the error is told. */
extern bool partition_step(void (*body)(PartitionExpiry *), PartitionExpiry *expiry);

/* Until nothing is left, or one must wait for a reader. */
extern void partition_drop_expired(PartitionExpiry *expiry);

/* Inside a transaction: the parent goes; a partition of it that is detached and not yet dropped, too. */
extern void partition_drop_rest(PartitionExpiry *expiry);

/* False when the relation is gone; else it stays until the transaction ends. */
extern bool partition_hold(Oid relation);

#endif
