/*
 * coverage.c - which rows of a stream its archive does not hold.
 *
 * An archive may have begun later than the stream, or its old days may be gone.  A row that is missing
 * before the first one that is kept has an event time of at most what that one's watermark was made of:
 * windows that start later are whole, whatever is missing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "source.h"
#include "stream.h"
#include "streamagg.h"

static CatalogStatement read_partitions = {
	"SELECT p.partition, p.accepted, p.max_event_time, p.start_offset,"
	" coalesce((CASE WHEN coalesce(a.included, '{}') = '{}'"
	" THEN a.began ->> p.partition::text END)::bigint, 0)"
	" FROM streamagg.partition_progress p LEFT JOIN streamagg.aggregate_progress a"
	" ON a.state_table = $2 WHERE p.stream = $1 AND p.accepted > 0",
	2,
	{REGCLASSOID, REGCLASSOID},
	NULL};

/* What the stream accepted of a partition, and what is there of it. */
typedef struct Kept
{
	int32 partition;
	int64 accepted;
	TimestampTz max_event_time;
	int64 start_offset;
	int64 needed; /* rows before this offset do not count */
	int64 rows;
	int64 first_offset;
	TimestampTz first_watermark;
} Kept;

static Kept *
read_accepted(const Source *source, int *count)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[2] = {ObjectIdGetDatum(source->stream), ObjectIdGetDatum(source->state)};
	CatalogScope scope;
	Kept *kept;
	bool isnull;

	catalog_enter(&scope);
	*count = catalog_read(&read_partitions, values);
	kept = MemoryContextAllocZero(context, sizeof(Kept) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		kept[i].partition = DatumGetInt32(catalog_value(i, 1, &isnull));
		kept[i].accepted = DatumGetInt64(catalog_value(i, 2, &isnull));
		kept[i].max_event_time = DatumGetTimestampTz(catalog_value(i, 3, &isnull));
		kept[i].start_offset = DatumGetInt64(catalog_value(i, 4, &isnull));
		kept[i].needed = DatumGetInt64(catalog_value(i, 5, &isnull));
	}
	catalog_leave(&scope);
	return kept;
}

static void
add_archived(Kept *kept, int count, uint64 row)
{
	bool isnull;
	int32 partition = DatumGetInt32(catalog_value(row, 1, &isnull));

	for (int i = 0; i < count; i++)
	{
		if (kept[i].partition != partition)
			continue;
		kept[i].rows = DatumGetInt64(catalog_value(row, 2, &isnull));
		kept[i].first_offset = DatumGetInt64(catalog_value(row, 3, &isnull));
		kept[i].first_watermark = DatumGetTimestampTz(catalog_value(row, 4, &isnull));
	}
}

/* As the stream's owner, to whom the archive belongs. */
static void
read_archived(const Source *source, Kept *kept, int count)
{
	char *sql = psprintf("SELECT a._partition, pg_catalog.count(*), pg_catalog.min(a._offset),"
						 " pg_catalog.min(a._watermark) FROM %s a GROUP BY 1",
						 stream_name(source->archive));

	if (SPI_connect() != SPI_OK_CONNECT || SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the archive");
	for (uint64 i = 0; i < SPI_processed; i++)
		add_archived(kept, count, i);
	SPI_finish();
}

static TimestampTz
missing_until(const Kept *kept, int64 delay)
{
	if (kept->rows >= kept->accepted)
		return DT_NOBEGIN;
	if (kept->rows == 0)
		return kept->max_event_time;
	/* not before the first that is there, so behind it */
	if (kept->first_offset <= kept->start_offset || TIMESTAMP_IS_NOBEGIN(kept->first_watermark))
		return DT_NOEND;
	if (kept->needed > 0 && kept->first_offset <= kept->needed)
		return DT_NOBEGIN;
	return kept->first_watermark + delay;
}

TimestampTz
source_missing_until(const Source *source, bool only_counted)
{
	TimestampTz found = DT_NOBEGIN;
	int count;
	Kept *kept = read_accepted(source, &count);

	read_archived(source, kept, count);
	for (int i = 0; i < count; i++)
	{
		if (!only_counted)
			kept[i].needed = 0;
		found = Max(found, missing_until(&kept[i], source->delay));
	}
	return found;
}
