/*
 * retention.c - the partitions of a state whose windows are kept for a time only.
 *
 * A state with a retention is partitioned by ranges of its windows' starts, all of one width.  A batch
 * makes those that its rows need; no partition takes what has none, so a window that is gone cannot come
 * back.  When a window is over is not asked here but of each row, by the watermark that it met (late.c);
 * partitions go later, once no row can reach a window of theirs (retention_tend.c).
 */
#include "postgres.h"

#include "common/int.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "partition.h"
#include "retention.h"
#include "run.h"
#include "streamagg.h"
#include "window_run.h"

/* With the longest window; numbers of microseconds are exact in a float8 up to here. */
#define MAX_LENGTH (100000 * USECS_PER_DAY)
#define PARTS_OF_LENGTH 20
/* More at once share partitions: times that are spread over centuries must not make thousands. */
#define MAX_NEW_PARTITIONS 100
/* A Monday: partitions of weeks are those of the calendar. */
#define ORIGIN (2 * USECS_PER_DAY)

#define PARTITION_OPTIONS "WITH (fillfactor = 50)" /* see rewrite_create_table() */

static const int64 widths[] = {
	USECS_PER_HOUR,		 2 * USECS_PER_HOUR, 4 * USECS_PER_HOUR, 6 * USECS_PER_HOUR,
	12 * USECS_PER_HOUR, USECS_PER_DAY,		 2 * USECS_PER_DAY,	 3 * USECS_PER_DAY,
	7 * USECS_PER_DAY,	 14 * USECS_PER_DAY, 30 * USECS_PER_DAY,
};

/* ---------------------------------------------------------------- the plan */

/* A twentieth of the length, rounded down to what reads well; a window fits into it. */
static int64
choose_width(int64 length, int64 longest)
{
	int64 last = widths[lengthof(widths) - 1];

	if (longest > last)
		return (longest + last - 1) / last * last;
	for (int i = lengthof(widths) - 1; i >= 0; i--)
		if (widths[i] <= length / PARTS_OF_LENGTH)
			return Max(widths[i], longest);
	return Max(widths[0], longest);
}

static void
refuse_length(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid value for argument retention"), errdetail("%s", detail)));
}

Retention
retention_plan(const Window *window, const Interval *length, int64 lateness)
{
	Retention retention = {0};
	int64 longest;

	if (length->month != 0 || length->day < 0 || length->time < 0)
		refuse_length("It must be positive and have no months or years, which have no fixed "
					  "length.");
	if (window->kind == WINDOW_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retention is for aggregates with a time window"),
				 errdetail("Without one no group is ever over."),
				 errhint("Group by streamagg.tumble(…) or date_trunc(…) of the event time, or "
						 "leave retention NULL.")));
	longest = window_longest(window);
	if (longest == PG_INT64_MAX)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("retention is not supported for sessions"),
						errhint("Leave it NULL: windows are kept for ever.")));
	retention.length = run_lateness(length);
	if (retention.length <= lateness)
		refuse_length("It must be longer than allowed_lateness: a window would go while it is "
					  "open.");
	if (retention.length > MAX_LENGTH - Min(longest, MAX_LENGTH))
		refuse_length("Retention and a window must not be longer than 100,000 days together.");
	retention.width = choose_width(retention.length, longest);
	retention.kept = retention.length + longest;
	return retention;
}

Retention
retention_from(const Interval *length, const Interval *width, const Interval *kept)
{
	Retention retention = {0};

	if (length == NULL)
		return retention;
	retention.length = window_size(length);
	retention.width = window_size(width);
	retention.kept = window_size(kept);
	return retention;
}

/* ---------------------------------------------------------------- ranges */

/* Windows that start at both ends of time are in partitions without a bound there. */
static PartitionRange
range_of(TimestampTz start, int64 width)
{
	TimestampTz at = Max(start, MIN_TIMESTAMP);
	int64 rest = (at - ORIGIN) % width;
	PartitionRange range = {at - (rest < 0 ? rest + width : rest), 0};

	if (pg_add_s64_overflow(range.from, width, &range.to) || range.to >= END_TIMESTAMP)
		range.to = DT_NOEND;
	if (range.from <= MIN_TIMESTAMP)
		range.from = DT_NOBEGIN;
	return range;
}

/* p20240501, or p20240501_06 where there are several a day. */
static char *
label_of(TimestampTz from, int64 width)
{
	struct pg_tm time;
	fsec_t fraction;

	if (TIMESTAMP_IS_NOBEGIN(from) || timestamp2tm(from, NULL, &time, &fraction, NULL, NULL) != 0)
		return "pfirst";
	if (width % USECS_PER_DAY == 0)
		return psprintf("p%04d%02d%02d", time.tm_year, time.tm_mon, time.tm_mday);
	return psprintf("p%04d%02d%02d_%02d", time.tm_year, time.tm_mon, time.tm_mday, time.tm_hour);
}

static void
make(Oid table, const PartitionRange *ranges, int count, int64 width)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (int i = 0; i < count; i++)
	{
		PartitionPlan plan = {ranges[i], label_of(ranges[i].from, width), PARTITION_OPTIONS, NULL};

		partition_make(table, &plan);
	}
	SPI_finish();
}

/* ---------------------------------------------------------------- missing partitions */

static int
compare_times(const void *a, const void *b)
{
	TimestampTz x = *(const TimestampTz *) a;
	TimestampTz y = *(const TimestampTz *) b;

	return x < y ? -1 : x > y;
}

/* The ranges of these starts, sorted, that have no partition; those behind a gap's end are cut there. */
static int
find_missing(Oid table, int64 width, const TimestampTz *starts, int count, PartitionRange *missing)
{
	int found = 0;

	for (int i = 0; i < count; i++)
	{
		PartitionRange range = range_of(starts[i], width);
		PartitionRange around;

		if ((found > 0 && starts[i] < missing[found - 1].to) ||
			partition_find(table, starts[i], &around))
			continue;
		missing[found].from = Max(range.from, around.from);
		missing[found++].to = Min(range.to, around.to);
	}
	return found;
}

/* The oldest, which go first, share partitions where too many are missing: all that lie in one gap. */
static int
join_oldest(Oid table, PartitionRange *missing, int count)
{
	int joined = 0;
	int i = 0;

	while (i < count)
	{
		PartitionRange range = missing[i++];
		PartitionRange gap;

		(void) partition_find(table, range.from, &gap);
		while (i < count - MAX_NEW_PARTITIONS && missing[i].to <= gap.to)
			range.to = missing[i++].to;
		missing[joined++] = range;
	}
	return joined;
}

void
retention_make_room_for(Oid table, const Retention *retention, TimestampTz *starts, int count)
{
	PartitionRange *missing = palloc(sizeof(PartitionRange) * Max(count, 1));
	int found;

	qsort(starts, count, sizeof(TimestampTz), compare_times);
	found = find_missing(table, retention->width, starts, count, missing);
	if (found > 0)
	{
		LockRelationOid(table, ShareUpdateExclusiveLock); /* as the keeper, who detaches */
		found = find_missing(table, retention->width, starts, count, missing);
		found = join_oldest(table, missing, found);
	}
	if (found > 0)
		make(table, missing, found, retention->width);
	pfree(missing);
}

/* ---------------------------------------------------------------- a batch */

static int
add_start(TimestampTz *starts, int count, TimestampTz start)
{
	if (count == 0 || starts[count - 1] != start)
		starts[count++] = start;
	return count;
}

/*
 * A start for each partition that the rows need, and some more.  Nearly every row is settled by its time:
 * the windows of a time that is a window's length behind the partition's start begin in it.  Those of
 * one row lie in two partitions at the most, since none is narrower than a window.
 */
static int
collect_starts(const Retention *retention, const Window *window, const ScanOffer *rows,
			   TimestampTz *starts)
{
	int64 longest = retention->kept - retention->length;
	PartitionRange settled = {DT_NOEND, DT_NOEND};
	int count = 0;

	for (int i = rows->first; i < rows->end; i++)
	{
		TimestampTz time = rows->batch->rows[i].event_time;
		WindowRun run;
		int past;

		if ((rows->skip && rows->skip[i]) || (time >= settled.from && time < settled.to))
			continue;
		run = window_run(window, time);
		past = rows->closed ? window_run_ended(&run, rows->closed[i]) : 0;
		if (past >= run.count)
			continue;
		count = add_start(starts, count, window_run_at(&run, past).start);
		count = add_start(starts, count, window_run_at(&run, run.count - 1).start);
		settled = range_of(starts[count - 1], retention->width);
		settled.from = Max(settled.from, MIN_TIMESTAMP) + longest;
	}
	return count;
}

void
retention_make_room(Oid table, const Retention *retention, const Window *window,
					const ScanOffer *rows)
{
	TimestampTz *starts = palloc(sizeof(TimestampTz) * 2 * Max(rows->end - rows->first, 1));
	int count = collect_starts(retention, window, rows, starts);

	retention_make_room_for(table, retention, starts, count);
	pfree(starts);
}
