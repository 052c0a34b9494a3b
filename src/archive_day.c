/*
 * archive_day.c - the partitions of an archive: a day each, by _received_at, in UTC.
 *
 * Who calls it: a batch whose day is missing, and, ahead, the keeper and push().
 */
#include "postgres.h"

#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "archive.h"
#include "partition.h"
#include "streamagg.h"

static void
make_day(Oid archive, TimestampTz at)
{
	int64 day = at / USECS_PER_DAY - (at % USECS_PER_DAY < 0 ? 1 : 0);
	PartitionPlan plan = {
		{day * USECS_PER_DAY, (day + 1) * USECS_PER_DAY}, NULL, "", archive_add_trigger};
	int year;
	int month;
	int date;

	j2date((int) day + POSTGRES_EPOCH_JDATE, &year, &month, &date);
	plan.label = psprintf("p%04d%02d%02d", year, month, date);
	partition_make(archive, &plan);
}

void
archive_ensure_day(Oid archive, TimestampTz at)
{
	if (partition_find(archive, at, NULL))
		return;
	LockRelationOid(archive, ShareUpdateExclusiveLock); /* batch and keeper at the same midnight */
	if (partition_find(archive, at, NULL))
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	make_day(archive, at);
	SPI_finish();
}
