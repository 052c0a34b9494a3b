/*
 * gap.c - the rows of gap_log and skip_list.
 *
 * skip() does not move the stream: it leaves a row that the batch finds which gets there.  So a record
 * in the middle of what is still to be read can be skipped, and what is before it is read as ever.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "catalog.h"
#include "event.h"
#include "gap.h"

typedef struct Gap
{
	int32 partition;
	int64 first;
	int64 next;
	const char *kind;
	const char *reason;
} Gap;

static CatalogStatement read_skips = {"SELECT partition, first_offset, next_offset, reason FROM "
									  "streamagg.skip_list WHERE stream = $1",
									  1,
									  {REGCLASSOID},
									  NULL};

static CatalogStatement add_skip = {
	"INSERT INTO streamagg.skip_list (stream, partition, first_offset, next_offset, reason)"
	" SELECT $1, $2, $3, $4, $5 ON CONFLICT DO NOTHING",
	5,
	{REGCLASSOID, INT4OID, INT8OID, INT8OID, TEXTOID},
	NULL};

static CatalogStatement forget_skips = {
	"DELETE FROM streamagg.skip_list s USING unnest($2::int[], $3::bigint[])"
	" AS p (partition, next_offset)"
	" WHERE s.stream = $1 AND s.partition = p.partition AND s.next_offset <= p.next_offset",
	3,
	{REGCLASSOID, INT4ARRAYOID, INT8ARRAYOID},
	NULL};

static CatalogStatement add_gap = {
	"INSERT INTO streamagg.gap_log (stream, partition, first_offset, next_offset, kind, reason)"
	" SELECT $1, $2, $3, $4, $5, $6",
	6,
	{REGCLASSOID, INT4OID, INT8OID, INT8OID, TEXTOID, TEXTOID},
	NULL};

/* ---------------------------------------------------------------- skips */

List *
gap_load_skips(Oid stream, MemoryContext context)
{
	Datum value = ObjectIdGetDatum(stream);
	uint64 rows = catalog_run(&read_skips, &value, NULL);
	MemoryContext old = MemoryContextSwitchTo(context);
	List *skips = NIL;
	bool isnull;

	for (uint64 i = 0; i < rows; i++)
	{
		Skip *skip = palloc(sizeof(Skip));

		skip->partition = DatumGetInt32(catalog_value(i, 1, &isnull));
		skip->first = DatumGetInt64(catalog_value(i, 2, &isnull));
		skip->next = DatumGetInt64(catalog_value(i, 3, &isnull));
		skip->reason = catalog_string(i, 4);
		skips = lappend(skips, skip);
	}
	MemoryContextSwitchTo(old);
	return skips;
}

const Skip *
gap_find_skip(const Progress *progress, int32 partition, int64 offset)
{
	ListCell *cell;

	foreach (cell, progress->skips)
	{
		const Skip *skip = lfirst(cell);

		if (skip->partition == partition && skip->first <= offset && offset < skip->next)
			return skip;
	}
	return NULL;
}

void
gap_add_skip(Oid stream, const Skip *skip)
{
	Datum values[5] = {ObjectIdGetDatum(stream), Int32GetDatum(skip->partition),
					   Int64GetDatum(skip->first), Int64GetDatum(skip->next),
					   skip->reason ? CStringGetTextDatum(skip->reason) : (Datum) 0};

	catalog_execute(&add_skip, values, skip->reason ? NULL : "    n");
}

/* ---------------------------------------------------------------- gaps */

void
gap_note(Progress *progress, const Partition *partition, int64 next, const char *kind,
		 const char *reason)
{
	MemoryContext old = MemoryContextSwitchTo(progress->context);
	Gap *gap = palloc(sizeof(Gap));

	*gap =
		(Gap){partition->id, partition->next_offset, next, kind, reason ? pstrdup(reason) : NULL};
	progress->gaps = lappend(progress->gaps, gap);
	MemoryContextSwitchTo(old);
}

void
gap_pass(Progress *progress, Partition *partition, int64 next, const char *kind, const char *reason)
{
	if (next <= partition->next_offset)
		return;
	gap_note(progress, partition, next, kind, reason);
	partition->batch.lost += next - partition->next_offset;
	partition->next_offset = next;
	partition->touched = true;
	partition->idle = false;
}

static void
store_gap(const Progress *progress, const Gap *gap)
{
	Datum values[6] = {ObjectIdGetDatum(progress->stream),
					   Int32GetDatum(gap->partition),
					   Int64GetDatum(gap->first),
					   Int64GetDatum(gap->next),
					   CStringGetTextDatum(gap->kind),
					   gap->reason ? CStringGetTextDatum(gap->reason) : (Datum) 0};

	catalog_run(&add_gap, values, gap->reason ? NULL : "     n");
	event_log(progress->stream, gap->kind,
			  psprintf("partition %d, offsets [" INT64_FORMAT ", " INT64_FORMAT ")%s%s",
					   gap->partition, gap->first, gap->next, gap->reason ? ": " : "",
					   gap->reason ? gap->reason : ""));
}

static void
forget_passed(const Progress *progress)
{
	Datum *partitions = palloc(sizeof(Datum) * Max(progress->npartitions, 1));
	Datum *offsets = palloc(sizeof(Datum) * Max(progress->npartitions, 1));
	Datum values[3] = {ObjectIdGetDatum(progress->stream)};

	for (int i = 0; i < progress->npartitions; i++)
	{
		partitions[i] = Int32GetDatum(progress->partitions[i].id);
		offsets[i] = Int64GetDatum(progress->partitions[i].next_offset);
	}
	values[1] = catalog_array(partitions, NULL, progress->npartitions, INT4OID);
	values[2] = catalog_array(offsets, NULL, progress->npartitions, INT8OID);
	catalog_run(&forget_skips, values, NULL);
}

void
gap_store(const Progress *progress)
{
	ListCell *cell;

	foreach (cell, progress->gaps)
		store_gap(progress, lfirst(cell));
	if (progress->skips != NIL)
		forget_passed(progress);
}
