/*
 * partition.c - finds and makes partitions by ranges of a time.
 *
 * Who calls it: archive_day.c and aggregate/retention.c, which say what ranges there shall be;
 * partition_drop.c takes old ones away.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "aggregate/define.h"
#include "aggregate/run.h"
#include "partition.h"
#include "stream.h"
#include "streamagg.h"

/* ---------------------------------------------------------------- those that there are */

/* A bound as a time: infinity for MAXVALUE. */
static TimestampTz
bound_time(PartitionBoundInfo bounds, int i)
{
	switch (bounds->kind[i][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return DT_NOBEGIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return DT_NOEND;
		default:
			return DatumGetTimestampTz(bounds->datums[i][0]);
	}
}

/* Each bound is the upper one of the partition of its index, or of a gap. */
bool
partition_find(Oid parent, TimestampTz at, PartitionRange *range)
{
	Relation rel = table_open(parent, AccessShareLock);
	PartitionDesc parts = RelationGetPartitionDesc(rel, true);
	PartitionRange around = {DT_NOBEGIN, DT_NOEND};
	bool found = parts->nparts > 0 && partition_bound_has_default(parts->boundinfo);

	for (int i = 0; parts->nparts > 0 && i < parts->boundinfo->ndatums; i++)
	{
		TimestampTz bound = bound_time(parts->boundinfo, i);

		if (bound > at)
		{
			around.to = bound;
			found = found || parts->boundinfo->indexes[i] >= 0;
			break;
		}
		around.from = bound;
	}
	table_close(rel, NoLock);
	if (range)
		*range = around;
	return found;
}

List *
partition_before(Oid parent, TimestampTz at)
{
	Relation rel = table_open(parent, AccessShareLock);
	PartitionDesc parts = RelationGetPartitionDesc(rel, true);
	List *found = NIL;

	for (int i = 0; parts->nparts > 0 && i < parts->boundinfo->ndatums; i++)
	{
		int index = parts->boundinfo->indexes[i];

		if (bound_time(parts->boundinfo, i) > at)
			break;
		if (index >= 0)
			found = lappend_oid(found, parts->oids[index]);
	}
	table_close(rel, NoLock);
	return found;
}

/* ---------------------------------------------------------------- a new one */

/* Whoever may create in the schema must not stop us by a name. */
static char *
free_name(Oid parent, const char *label)
{
	Oid schema = get_rel_namespace(parent);

	for (int i = 0;; i++)
	{
		char *name = makeObjectName(get_rel_name(parent), NULL,
									i == 0 ? label : psprintf("%s_%d", label, i));

		if (!OidIsValid(get_relname_relid(name, schema)) &&
			!SearchSysCacheExists2(TYPENAMENSP, CStringGetDatum(name), ObjectIdGetDatum(schema)))
			return name;
	}
}

/* Under neutral settings. */
static char *
bound_sql(TimestampTz bound)
{
	if (TIMESTAMP_IS_NOBEGIN(bound))
		return "MINVALUE";
	if (TIMESTAMP_IS_NOEND(bound))
		return "MAXVALUE";
	return quote_literal_cstr(
		DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(bound))));
}

void
partition_make(Oid parent, const PartitionPlan *plan)
{
	Oid schema = get_rel_namespace(parent);
	char *parent_name = stream_name(parent);
	char *name = free_name(parent, plan->label);
	char *qualified = quote_qualified_identifier(get_namespace_name(schema), name);
	int level = NewGUCNestLevel();
	Oid made;

	run_apply_neutral_settings();
	define_run(
		psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING "
				 "GENERATED INCLUDING STORAGE INCLUDING COMPRESSION) %s",
				 qualified, parent_name, plan->options));
	made = get_relname_relid(name, schema);
	define_revoke_from_others(made);
	if (plan->prepare)
		plan->prepare(made);
	define_run(psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)",
						parent_name, qualified, bound_sql(plan->range.from),
						bound_sql(plan->range.to)));
	AtEOXact_GUC(true, level);
}
