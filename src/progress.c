/*
 * progress.c - the stream's rows of stream_progress, partition_progress and batch_log.
 *
 * They are read anew at the start of each batch, so a rolled-back batch leaves nothing behind in
 * memory, and written in the batch's transaction, so offsets and data cannot part.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "gap.h"
#include "progress.h"
#include "stream.h"
#include "streamagg.h"

#define RING 1000

static CatalogStatement add_stream = {
	"INSERT INTO streamagg.stream_progress (stream) SELECT $1 ON CONFLICT DO NOTHING",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement lock_stream = {
	"SELECT closing, batch, log_rows,"
	" EXISTS (SELECT FROM streamagg.skip_list k WHERE k.stream = s.stream)"
	" FROM streamagg.stream_progress s WHERE stream = $1 FOR UPDATE",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement read_partitions = {
	"SELECT partition, start_offset, next_offset, high_offset, max_event_time, idle, read,"
	" accepted, quarantined, dropped, duplicate, tombstones, gaps, lost, last_offset, fingerprint"
	" FROM streamagg.partition_progress WHERE stream = $1 ORDER BY partition",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement store_stream = {
	"INSERT INTO streamagg.stream_progress (stream, closing, batch, log_rows, last_commit)"
	" SELECT $1, $2, $3, $4, pg_catalog.clock_timestamp()"
	" ON CONFLICT (stream) DO UPDATE SET closing = excluded.closing, batch = excluded.batch,"
	" log_rows = excluded.log_rows, last_commit = excluded.last_commit"
	" WHERE stream_progress.batch = $5",
	5,
	{REGCLASSOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID},
	NULL};

static CatalogStatement store_partitions = {
	"INSERT INTO streamagg.partition_progress (stream, partition, start_offset, next_offset,"
	" high_offset, max_event_time, idle, read, accepted, quarantined, dropped, duplicate,"
	" tombstones, gaps, lost, last_offset, fingerprint)"
	" SELECT $1, n.* FROM unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[],"
	" $6::timestamptz[], $7::boolean[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],"
	" $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bytea[]) AS n"
	" ORDER BY 2"
	" ON CONFLICT (stream, partition) DO UPDATE SET start_offset = excluded.start_offset,"
	" next_offset = excluded.next_offset,"
	" high_offset = excluded.high_offset, max_event_time = excluded.max_event_time,"
	" idle = excluded.idle, read = excluded.read, accepted = excluded.accepted,"
	" quarantined = excluded.quarantined, dropped = excluded.dropped,"
	" duplicate = excluded.duplicate, tombstones = excluded.tombstones, gaps = excluded.gaps,"
	" lost = excluded.lost, last_offset = excluded.last_offset, fingerprint = excluded.fingerprint",
	17,
	{REGCLASSOID, INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID,
	 BOOLARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
	 INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, BYTEAARRAYOID},
	NULL};

static CatalogStatement store_log = {
	"INSERT INTO streamagg.batch_log (stream, ring, partition, batch, first_offset,"
	" next_offset, read, accepted, quarantined, dropped, duplicate, tombstones, gaps, lost,"
	" read_ms, decode_ms, aggregate_ms, commit_ms, committed_at)"
	" SELECT $1, n.ring, n.partition, $2, n.first_offset, n.next_offset, n.read, n.accepted,"
	" n.quarantined, n.dropped, n.duplicate, n.tombstones, n.gaps, n.lost, $15, $16, $17, $18,"
	" pg_catalog.clock_timestamp()"
	" FROM unnest($3::int[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[],"
	" $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],"
	" $14::bigint[]) AS n (ring, partition, first_offset, next_offset, read, accepted, quarantined,"
	" dropped, duplicate, tombstones, gaps, lost)"
	" ON CONFLICT (stream, ring) DO UPDATE SET partition = excluded.partition,"
	" batch = excluded.batch, first_offset = excluded.first_offset,"
	" next_offset = excluded.next_offset, read = excluded.read, accepted = excluded.accepted,"
	" quarantined = excluded.quarantined, dropped = excluded.dropped,"
	" duplicate = excluded.duplicate, tombstones = excluded.tombstones, gaps = excluded.gaps,"
	" lost = excluded.lost, read_ms = excluded.read_ms, decode_ms = excluded.decode_ms,"
	" aggregate_ms = excluded.aggregate_ms, commit_ms = excluded.commit_ms,"
	" committed_at = excluded.committed_at",
	18,
	{REGCLASSOID, INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
	 INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
	 INT8ARRAYOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID},
	NULL};

static CatalogStatement forget_stream = {
	"WITH s AS (DELETE FROM streamagg.stream_progress WHERE stream = $1),"
	" p AS (DELETE FROM streamagg.partition_progress WHERE stream = $1),"
	" q AS (DELETE FROM streamagg.quarantine_log WHERE stream = $1),"
	" g AS (DELETE FROM streamagg.gap_log WHERE stream = $1),"
	" k AS (DELETE FROM streamagg.skip_list WHERE stream = $1),"
	" c AS (DELETE FROM streamagg.stream_catalog WHERE stream = $1),"
	" d AS (DELETE FROM streamagg.dedup_log WHERE stream = $1),"
	" a AS (DELETE FROM streamagg.attempt WHERE stream = $1),"
	" l AS (DELETE FROM streamagg.lateness_progress WHERE stream = $1),"
	" e AS (UPDATE streamagg.event_log SET stream = NULL,"
	" detail = pg_catalog.concat_ws(' of ', detail, $2) WHERE stream = $1)"
	" DELETE FROM streamagg.batch_log WHERE stream = $1",
	2,
	{REGCLASSOID, TEXTOID},
	NULL};

/* ---------------------------------------------------------------- reading */

static int64
int64_column(uint64 row, int column)
{
	bool isnull;

	return DatumGetInt64(catalog_value(row, column, &isnull));
}

static void
read_stream_row(Progress *progress)
{
	Datum stream = ObjectIdGetDatum(progress->stream);
	bool isnull;

	if (catalog_run(&lock_stream, &stream, NULL) == 0)
	{
		catalog_run(&add_stream, &stream, NULL);
		if (catalog_run(&lock_stream, &stream, NULL) == 0)
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							errmsg("could not serialize access to the stream's progress")));
	}
	progress->closing = int64_column(0, 1);
	progress->batch = int64_column(0, 2);
	progress->log_rows = int64_column(0, 3);
	if (DatumGetBool(catalog_value(0, 4, &isnull)))
		progress->skips = gap_load_skips(progress->stream, progress->context);
}

static void
read_fingerprint(Fingerprint *fingerprint, uint64 row, int column)
{
	bool isnull;
	Datum value = catalog_value(row, column + 1, &isnull);

	fingerprint->offset = -1;
	if (isnull || VARSIZE_ANY_EXHDR(DatumGetPointer(value)) != FINGERPRINT_LENGTH)
		return;
	memcpy(fingerprint->bytes, VARDATA_ANY(DatumGetPointer(value)), FINGERPRINT_LENGTH);
	fingerprint->offset = int64_column(row, column);
}

static void
read_partition_row(Partition *partition, uint64 row)
{
	bool isnull;

	memset(partition, 0, sizeof(*partition));
	partition->id = DatumGetInt32(catalog_value(row, 1, &isnull));
	partition->start_offset = int64_column(row, 2);
	partition->first_offset = partition->next_offset = int64_column(row, 3);
	partition->high_offset = int64_column(row, 4);
	partition->max_event_time = partition->max_before = int64_column(row, 5);
	partition->idle = DatumGetBool(catalog_value(row, 6, &isnull));
	partition->before.read = int64_column(row, 7);
	partition->before.accepted = int64_column(row, 8);
	partition->before.quarantined = int64_column(row, 9);
	partition->before.dropped = int64_column(row, 10);
	partition->before.duplicate = int64_column(row, 11);
	partition->before.tombstones = int64_column(row, 12);
	partition->before.gaps = int64_column(row, 13);
	partition->before.lost = int64_column(row, 14);
	read_fingerprint(&partition->last, row, 15);
}

Progress *
progress_lock(Oid stream)
{
	MemoryContext context = CurrentMemoryContext;
	Progress *progress = palloc0(sizeof(Progress));
	Datum argument = ObjectIdGetDatum(stream);
	CatalogScope scope;

	progress->stream = stream;
	progress->context = context;
	catalog_enter(&scope);
	read_stream_row(progress);
	progress->npartitions = catalog_run(&read_partitions, &argument, NULL);
	progress->capacity = progress->npartitions + 8;
	progress->partitions = MemoryContextAlloc(context, sizeof(Partition) * progress->capacity);
	for (int i = 0; i < progress->npartitions; i++)
		read_partition_row(&progress->partitions[i], i);
	catalog_leave(&scope);
	return progress;
}

/* ---------------------------------------------------------------- partitions */

/* The place of the id among the partitions, or where it would stand. */
static int
search(const Progress *progress, int32 id)
{
	int low = 0;
	int high = progress->npartitions;

	/* nearly always the ids are 0 … n-1 */
	if (id >= 0 && id < high && progress->partitions[id].id == id)
		return id;
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (progress->partitions[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

Partition *
progress_find(Progress *progress, int32 id)
{
	int at = search(progress, id);

	if (at < progress->npartitions && progress->partitions[at].id == id)
		return &progress->partitions[at];
	return NULL;
}

Partition *
progress_partition(Progress *progress, int32 id, int64 start_offset)
{
	int at = search(progress, id);
	Partition *found = &progress->partitions[at];

	if (at < progress->npartitions && found->id == id)
		return found;
	if (progress->npartitions == progress->capacity)
	{
		progress->capacity *= 2;
		progress->partitions =
			repalloc(progress->partitions, sizeof(Partition) * progress->capacity);
	}
	found = &progress->partitions[at];
	memmove(found + 1, found, sizeof(Partition) * (progress->npartitions - at));
	progress->npartitions++;
	found->id = id;
	progress_begin_anew(found, start_offset);
	return found;
}

void
progress_begin_anew(Partition *partition, int64 offset)
{
	int32 id = partition->id;

	memset(partition, 0, sizeof(*partition));
	partition->id = id;
	partition->touched = true;
	partition->start_offset = partition->first_offset = partition->next_offset = offset;
	partition->high_offset = offset;
	partition->max_event_time = partition->max_before = DT_NOBEGIN;
	partition->last.offset = -1;
}

/* ---------------------------------------------------------------- watermarks */

TimestampTz
progress_closing(const Progress *progress, int64 delay, bool close_all)
{
	TimestampTz lowest = DT_NOEND;
	TimestampTz highest = DT_NOBEGIN;

	for (int i = 0; i < progress->npartitions; i++)
	{
		const Partition *partition = &progress->partitions[i];

		highest = Max(highest, partition->max_event_time);
		if (!partition->idle)
			lowest = Min(lowest, stream_watermark(partition->max_event_time, delay));
	}
	if (!TIMESTAMP_IS_NOEND(lowest))
		return Max(progress->closing, lowest);
	return close_all ? Max(progress->closing, highest) : progress->closing;
}

/* ---------------------------------------------------------------- writing */

static Datum
column_array(const Progress *progress, Datum (*get)(const Partition *), Oid type)
{
	Datum *values = palloc(sizeof(Datum) * Max(progress->npartitions, 1));
	int n = 0;

	for (int i = 0; i < progress->npartitions; i++)
		if (progress->partitions[i].touched)
			values[n++] = get(&progress->partitions[i]);
	return catalog_array(values, NULL, n, type);
}

#define DEFINE_GET(name, expression)                                                               \
	static Datum get_##name(const Partition *p)                                                    \
	{                                                                                              \
		return expression;                                                                         \
	}
DEFINE_GET(id, Int32GetDatum(p->id))
DEFINE_GET(start_offset, Int64GetDatum(p->start_offset))
DEFINE_GET(first_offset, Int64GetDatum(p->first_offset))
DEFINE_GET(next_offset, Int64GetDatum(p->next_offset))
DEFINE_GET(high_offset, Int64GetDatum(Max(p->high_offset, p->next_offset)))
DEFINE_GET(max_event_time, TimestampTzGetDatum(p->max_event_time))
DEFINE_GET(idle, BoolGetDatum(p->idle))
DEFINE_GET(last_offset, Int64GetDatum(p->last.offset))
DEFINE_GET(read, Int64GetDatum(p->batch.read))
DEFINE_GET(accepted, Int64GetDatum(p->batch.accepted))
DEFINE_GET(quarantined, Int64GetDatum(p->batch.quarantined))
DEFINE_GET(dropped, Int64GetDatum(p->batch.dropped))
DEFINE_GET(duplicate, Int64GetDatum(p->batch.duplicate))
DEFINE_GET(tombstones, Int64GetDatum(p->batch.tombstones))
DEFINE_GET(gaps, Int64GetDatum(p->batch.gaps))
DEFINE_GET(lost, Int64GetDatum(p->batch.lost))
DEFINE_GET(total_read, Int64GetDatum(p->before.read + p->batch.read))
DEFINE_GET(total_accepted, Int64GetDatum(p->before.accepted + p->batch.accepted))
DEFINE_GET(total_quarantined, Int64GetDatum(p->before.quarantined + p->batch.quarantined))
DEFINE_GET(total_dropped, Int64GetDatum(p->before.dropped + p->batch.dropped))
DEFINE_GET(total_duplicate, Int64GetDatum(p->before.duplicate + p->batch.duplicate))
DEFINE_GET(total_tombstones, Int64GetDatum(p->before.tombstones + p->batch.tombstones))
DEFINE_GET(total_gaps, Int64GetDatum(p->before.gaps + p->batch.gaps))
DEFINE_GET(total_lost, Int64GetDatum(p->before.lost + p->batch.lost))

typedef Datum (*Getter)(const Partition *);

/* The counters in the order of struct Counters, which is that of the columns. */
static const Getter batch_counters[] = {get_read,	   get_accepted,   get_quarantined, get_dropped,
										get_duplicate, get_tombstones, get_gaps,		get_lost};
static const Getter total_counters[] = {
	get_total_read,		 get_total_accepted,   get_total_quarantined, get_total_dropped,
	get_total_duplicate, get_total_tombstones, get_total_gaps,		  get_total_lost};

static void
counter_arrays(const Progress *progress, const Getter *get, Datum *arrays)
{
	for (size_t i = 0; i < lengthof(batch_counters); i++)
		arrays[i] = column_array(progress, get[i], INT8OID);
}

static Datum
fingerprints(const Progress *progress)
{
	Datum *values = palloc(sizeof(Datum) * Max(progress->npartitions, 1));
	bool *isnull = palloc(sizeof(bool) * Max(progress->npartitions, 1));
	int n = 0;

	for (int i = 0; i < progress->npartitions; i++)
	{
		const Partition *partition = &progress->partitions[i];

		if (!partition->touched)
			continue;
		isnull[n] = partition->last.offset < 0;
		values[n++] = PointerGetDatum(
			cstring_to_text_with_len((const char *) partition->last.bytes, FINGERPRINT_LENGTH));
	}
	return catalog_array(values, isnull, n, BYTEAOID);
}

static void
write_partitions(const Progress *progress)
{
	Datum values[17] = {ObjectIdGetDatum(progress->stream),
						column_array(progress, get_id, INT4OID),
						column_array(progress, get_start_offset, INT8OID),
						column_array(progress, get_next_offset, INT8OID),
						column_array(progress, get_high_offset, INT8OID),
						column_array(progress, get_max_event_time, TIMESTAMPTZOID),
						column_array(progress, get_idle, BOOLOID)};

	counter_arrays(progress, total_counters, &values[7]);
	values[15] = column_array(progress, get_last_offset, INT8OID);
	values[16] = fingerprints(progress);
	catalog_run(&store_partitions, values, NULL);
}

/* Places in the ring for the touched partitions; more than the ring holds are not logged. */
static int
write_log(Progress *progress, int touched, const BatchTimes *times)
{
	Datum *ring = palloc(sizeof(Datum) * Max(touched, 1));
	Datum values[18] = {ObjectIdGetDatum(progress->stream), Int64GetDatum(progress->batch)};

	if (touched > RING)
		return 0;
	for (int i = 0; i < touched; i++)
		ring[i] = Int32GetDatum((int32) ((progress->log_rows + i) % RING));
	values[2] = catalog_array(ring, NULL, touched, INT4OID);
	values[3] = column_array(progress, get_id, INT4OID);
	values[4] = column_array(progress, get_first_offset, INT8OID);
	values[5] = column_array(progress, get_next_offset, INT8OID);
	counter_arrays(progress, batch_counters, &values[6]);
	values[14] = Float8GetDatum(times->read_ms);
	values[15] = Float8GetDatum(times->decode_ms);
	values[16] = Float8GetDatum(times->aggregate_ms);
	values[17] = Float8GetDatum(times->commit_ms);
	catalog_run(&store_log, values, NULL);
	return touched;
}

void
progress_store(Progress *progress, TimestampTz closing, const BatchTimes *times)
{
	CatalogScope scope;
	Datum values[5];
	int touched = 0;

	for (int i = 0; i < progress->npartitions; i++)
		touched += progress->partitions[i].touched;
	values[4] = Int64GetDatum(progress->batch);
	progress->batch += times != NULL;
	catalog_enter(&scope);
	if (touched > 0)
		write_partitions(progress);
	if (touched > 0 && times)
		progress->log_rows += write_log(progress, touched, times);
	gap_store(progress);
	values[0] = ObjectIdGetDatum(progress->stream);
	values[1] = TimestampTzGetDatum(closing);
	values[2] = Int64GetDatum(progress->batch);
	values[3] = Int64GetDatum(progress->log_rows);
	if (catalog_run(&store_stream, values, NULL) == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" was fed by one of its own aggregates",
							   stream_name(progress->stream)),
						errhint("A trigger of a state table must not push into the stream that "
								"feeds it.")));
	catalog_leave(&scope);
}

void
progress_forget(Oid stream, const char *name)
{
	Datum values[2] = {ObjectIdGetDatum(stream), CStringGetTextDatum(name)};

	catalog_execute(&forget_stream, values, NULL);
}
