/*
 * retention_tend.c - partitions of states go: those whose windows are all over, by the closing watermark.
 *
 * The watermark of every later row is at least the closing one of now, so none of them reaches a window
 * that is gone.  A partition goes when the newest window in it is over; until then its windows show.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "partition.h"
#include "partition_drop.h"
#include "retention.h"
#include "run.h"
#include "stream.h"
#include "streamagg.h"
#include "worker/session.h"

#define WAKE_EVERY_MS 60000

static CatalogStatement read_horizon = {
	"SELECT a.kept, p.closing, a.aggregate FROM streamagg.aggregate_catalog a"
	" JOIN streamagg.stream_progress p ON p.stream = a.stream"
	" WHERE a.kept IS NOT NULL AND a.state_table = coalesce((SELECT s.state_table"
	" FROM streamagg.side_tables s WHERE s.side_table = $1), $1)",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement all_states = {
	"SELECT t.table_of, a.stream FROM streamagg.aggregate_catalog a CROSS JOIN LATERAL"
	" (SELECT a.state_table UNION ALL SELECT s.side_table FROM streamagg.side_tables s"
	" WHERE s.state_table = a.state_table) t (table_of)"
	" JOIN pg_catalog.pg_class c ON c.oid = t.table_of AND c.relkind = 'p'"
	" WHERE a.kept IS NOT NULL AND a.stream IS NOT NULL ORDER BY 1",
	0,
	{InvalidOid},
	NULL};

static CatalogStatement note_gone = {
	"UPDATE streamagg.aggregate_progress SET gone = $2 WHERE state_table = $1"
	" AND (gone IS NULL OR gone < $2)",
	2,
	{REGCLASSOID, TIMESTAMPTZOID},
	NULL};

static CatalogStatement read_gone = {
	"SELECT gone FROM streamagg.aggregate_progress WHERE state_table = $1 AND gone IS NOT NULL",
	1,
	{REGCLASSOID},
	NULL};

/* *aggregate: the view. */
static bool
horizon_of(Oid state, TimestampTz *before, Oid *aggregate)
{
	Datum value = ObjectIdGetDatum(state);
	CatalogScope scope;
	TimestampTz closing = DT_NOBEGIN;
	int64 kept = 0;
	bool isnull;

	catalog_enter(&scope);
	if (catalog_run(&read_horizon, &value, NULL) > 0)
	{
		kept = window_size(DatumGetIntervalP(catalog_value(0, 1, &isnull)));
		closing = DatumGetTimestampTz(catalog_value(0, 2, &isnull));
		*aggregate = DatumGetObjectId(catalog_value(0, 3, &isnull));
	}
	catalog_leave(&scope);
	if (TIMESTAMP_NOT_FINITE(closing))
		return false;
	*before = closing - kept;
	return *before >= MIN_TIMESTAMP;
}

bool
retention_horizon(Oid state, TimestampTz *before)
{
	Oid aggregate;

	return horizon_of(state, before, &aggregate);
}

bool
retention_has_dropped(Oid state)
{
	Datum value = ObjectIdGetDatum(state);

	return catalog_execute(&read_gone, &value, NULL) > 0;
}

/* ---------------------------------------------------------------- what partition_drop.c asks */

static bool
horizon(const PartitionExpiry *expiry, TimestampTz *before)
{
	return retention_horizon(expiry->parent, before);
}

/* It has the parent's owner and none but its columns, of which some may have come since it was detached. */
static bool
is_ours(const PartitionExpiry *expiry)
{
	Relation partition = try_relation_open(expiry->partition, AccessShareLock);
	bool same = partition && get_rel_name(expiry->parent) != NULL &&
				stream_owner(expiry->partition) == stream_owner(expiry->parent);

	for (int i = 0; same && i < RelationGetNumberOfAttributes(partition); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(partition), i);
		AttrNumber number;

		if (att->attisdropped)
			continue;
		number = get_attnum(expiry->parent, NameStr(att->attname));
		same =
			AttributeNumberIsValid(number) && get_atttype(expiry->parent, number) == att->atttypid;
	}
	if (partition)
		relation_close(partition, NoLock);
	return same;
}

/* It is known that windows are gone; and from now on DROP of the view takes it along, detached or not. */
static void
note_partition(const PartitionExpiry *expiry)
{
	TimestampTz before;
	ObjectAddress partition;
	ObjectAddress view;
	Oid aggregate;
	Datum values[2] = {ObjectIdGetDatum(expiry->parent)};

	if (!horizon_of(expiry->parent, &before, &aggregate))
		return;
	values[1] = TimestampTzGetDatum(before);
	catalog_execute(&note_gone, values, NULL);
	ObjectAddressSet(partition, RelationRelationId, expiry->partition);
	ObjectAddressSet(view, RelationRelationId, aggregate);
	recordDependencyOn(&partition, &view, DEPENDENCY_AUTO);
}

static const PartitionRules state_rules = {"drop_windows", horizon, is_ours, note_partition};

/* ---------------------------------------------------------------- who calls */

void
retention_tend(void)
{
	ListCell *cell;

	foreach (cell, partition_read_parents(&all_states, NULL, &state_rules))
		partition_drop_expired(lfirst(cell));
}

void
retention_drop_rest(Oid state)
{
	PartitionExpiry expiry = {&state_rules, state, InvalidOid, InvalidOid};

	partition_drop_rest(&expiry);
}

/* One that a reader holds does not wake the keeper with every batch. */
void
retention_tend_local(const List *aggregates)
{
	static Oid told = InvalidOid;
	static TimestampTz last = 0;
	ListCell *cell;

	foreach (cell, aggregates)
	{
		const Aggregate *aggregate = lfirst(cell);
		TimestampTz before;
		List *old;

		if (aggregate->retention.length == 0 || !retention_horizon(aggregate->state, &before))
			continue;
		old = partition_before(aggregate->state, before);
		if (old == NIL || (linitial_oid(old) == told &&
						   !TimestampDifferenceExceeds(last, GetCurrentTimestamp(), WAKE_EVERY_MS)))
			continue;
		told = linitial_oid(old);
		last = GetCurrentTimestamp();
		session_wake_keeper();
	}
}
