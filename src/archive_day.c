/*
 * archive_day.c - the partitions of an archive: a day each, by _received_at, in UTC.
 *
 * A day is made as a table of its own and attached, which locks the archive against nothing but other
 * changes of its partitions: batches and readers go on.  Who calls it: a batch whose day is missing,
 * and, ahead, the keeper and push().
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "aggregate/define.h"
#include "archive.h"
#include "stream.h"
#include "streamagg.h"

/* ---------------------------------------------------------------- days that there are */

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
static bool
has_day(Oid archive, TimestampTz at)
{
	Relation rel = table_open(archive, RowExclusiveLock);
	PartitionDesc days = RelationGetPartitionDesc(rel, true);
	bool found = days->nparts > 0 && partition_bound_has_default(days->boundinfo);

	for (int i = 0; days->nparts > 0 && i < days->boundinfo->ndatums; i++)
		if (bound_time(days->boundinfo, i) > at)
		{
			found = found || days->boundinfo->indexes[i] >= 0;
			break;
		}
	table_close(rel, NoLock);
	return found;
}

List *
archive_days_before(Oid archive, TimestampTz at)
{
	Relation rel = table_open(archive, AccessShareLock);
	PartitionDesc days = RelationGetPartitionDesc(rel, true);
	List *found = NIL;

	for (int i = 0; days->nparts > 0 && i < days->boundinfo->ndatums; i++)
	{
		int index = days->boundinfo->indexes[i];

		if (bound_time(days->boundinfo, i) > at)
			break;
		if (index >= 0)
			found = lappend_oid(found, days->oids[index]);
	}
	table_close(rel, NoLock);
	return found;
}

/* ---------------------------------------------------------------- a new day */

/* Days since 2000-01-01, of a time that may be before. */
static int
day_of(TimestampTz at)
{
	int64 day = at / USECS_PER_DAY;

	return (int) (at < day * USECS_PER_DAY ? day - 1 : day);
}

static char *
day_text(int day, const char *format)
{
	int year;
	int month;
	int date;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &date);
	return psprintf(format, year, month, date);
}

/* Whoever may create in the schema must not stop the archive by a name. */
static char *
free_name(Oid archive, int day)
{
	Oid schema = get_rel_namespace(archive);
	char *label = day_text(day, "p%04d%02d%02d");

	for (int i = 0;; i++)
	{
		char *name = makeObjectName(get_rel_name(archive), NULL,
									i == 0 ? label : psprintf("%s_%d", label, i));

		if (!OidIsValid(get_relname_relid(name, schema)) &&
			!SearchSysCacheExists2(TYPENAMENSP, CStringGetDatum(name), ObjectIdGetDatum(schema)))
			return name;
	}
}

static void
make_day(Oid archive, int day)
{
	Oid schema = get_rel_namespace(archive);
	char *parent = stream_name(archive);
	char *name = free_name(archive, day);
	char *qualified = quote_qualified_identifier(get_namespace_name(schema), name);
	Oid made;

	define_run(
		psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING "
				 "GENERATED INCLUDING STORAGE INCLUDING COMPRESSION)",
				 qualified, parent));
	made = get_relname_relid(name, schema);
	define_revoke_from_others(made);
	archive_add_trigger(made);
	define_run(psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
						parent, qualified, day_text(day, "%04d-%02d-%02d 00:00:00+00"),
						day_text(day + 1, "%04d-%02d-%02d 00:00:00+00")));
}

void
archive_ensure_day(Oid archive, TimestampTz at)
{
	if (has_day(archive, at))
		return;
	LockRelationOid(archive, ShareUpdateExclusiveLock); /* batch and keeper at the same midnight */
	if (has_day(archive, at))
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	make_day(archive, day_of(at));
	SPI_finish();
}
