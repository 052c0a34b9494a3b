/*
 * dedup.c - which rows of a batch are duplicates, by the digests of the values accepted before.
 *
 * A row is a duplicate when its partition has an accepted row of the same value, less than dedup_within
 * of event time away on either side.  Of a value only a digest is stored, with its event time, in the
 * batch's transaction.  A row is forgotten when the watermark of its partition has gone FORGET_AFTER
 * past the last event time that it could match: the verdict itself asks that, row by row, so it does
 * not depend on when rows are deleted.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inet.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "catalog.h"
#include "compat.h"
#include "dedup.h"
#include "digest.h"
#include "streamagg.h"

#define STORED_LENGTH 16
#define FOREVER (-1)
#define FORGET_AFTER (7 * USECS_PER_DAY)
#define TRIM_EVERY_MS 60000

/* The value in a partition. */
typedef struct Key
{
	int32 partition;
	uint8 digest[STORED_LENGTH];
} Key;

/* Accepted rows of it: event times. */
typedef struct Known
{
	Key key;
	int nstored; /* of the times; the rest are of this batch */
	int ntimes;
	int capacity;
	TimestampTz *times;
	TimestampTz first; /* room for the one that most have */
} Known;

struct Dedup
{
	const Stream *stream;
	const Progress *progress;
	MemoryContext context;
	uint8 origin[DIGEST_LENGTH]; /* what the values are, so that another column's are others */
	Oid type;					 /* below a domain */
	StringInfoData text;		 /* of a value */
	HTAB *known;
	Key *keys; /* by the rows' numbers */
	bool *has_key;
	int nkeys;
};

static CatalogStatement read_known = {
	"SELECT d.partition, d.digest, d.event_time FROM unnest($2::int[], $3::bytea[]) AS n (p, k),"
	" LATERAL (SELECT l.partition, l.digest, l.event_time FROM streamagg.dedup_log l"
	" WHERE l.stream = $1 AND l.partition = n.p AND l.digest = n.k OFFSET 0) d",
	3,
	{REGCLASSOID, INT4ARRAYOID, BYTEAARRAYOID},
	NULL};

static CatalogStatement store_known = {
	"INSERT INTO streamagg.dedup_log (stream, partition, digest, event_time)"
	" SELECT $1, n.* FROM unnest($2::int[], $3::bytea[], $4::timestamptz[]) AS n",
	4,
	{REGCLASSOID, INT4ARRAYOID, BYTEAARRAYOID, TIMESTAMPTZARRAYOID},
	NULL};

static CatalogStatement forget_known = {
	"DELETE FROM streamagg.dedup_log WHERE stream = $1 AND partition = $2 AND event_time < $3",
	3,
	{REGCLASSOID, INT4OID, TIMESTAMPTZOID},
	NULL};

/* ---------------------------------------------------------------- options */

/* Types whose equal values have one form. */
static bool
is_supported(Oid type, Oid collation)
{
	switch (getBaseType(type))
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case UUIDOID:
		case BYTEAOID:
		case INETOID:
		case CIDROID:
			return true;
		case TEXTOID:
		case VARCHAROID:
			return !OidIsValid(collation) || get_collation_isdeterministic(collation);
		default:
			return false;
	}
}

static Oid
collation_of(const Stream *stream, AttrNumber number)
{
	Relation rel = relation_open(stream->relid, AccessShareLock);
	Oid found = TupleDescAttr(RelationGetDescr(rel), number - 1)->attcollation;

	relation_close(rel, NoLock);
	return found;
}

void
dedup_load(Stream *stream, List *options)
{
	const char *name = options_get(options, "dedup_key", NULL);
	const char *within = options_get(options, "dedup_within", NULL);

	stream->dedup_within = FOREVER;
	if (within)
		(void) options_parse_duration(within, &stream->dedup_within);
	if (name == NULL && within)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("stream \"%s\" has dedup_within, but no dedup_key", stream->name),
						errhint("dedup_key names the column whose equal values are duplicates.")));
	if (name == NULL)
		return;
	stream->dedup_key = get_attnum(stream->relid, name);
	if (stream->dedup_key <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("dedup_key names column \"%s\", which stream \"%s\" does not have",
							   name, stream->name)));
	if (!is_supported(stream->columns[stream->dedup_key - 1].type,
					  collation_of(stream, stream->dedup_key)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dedup_key column \"%s\" of stream \"%s\" cannot be of type %s", name,
						stream->name, format_type_be(stream->columns[stream->dedup_key - 1].type)),
				 errhint("It is text, varchar (of a deterministic collation), bytea, uuid, inet, "
						 "cidr, boolean, date, timestamp, an integer or numeric.")));
}

/* ---------------------------------------------------------------- digests */

/* Where the column comes from: a rename changes nothing. */
static void
digest_origin(Dedup *dedup)
{
	const StreamColumn *column = &dedup->stream->columns[dedup->stream->dedup_key - 1];
	ListCell *cell;

	resetStringInfo(&dedup->text);
	appendStringInfo(&dedup->text, "%d:%s", column->source, column->header ? column->header : "");
	foreach (cell, column->path)
		appendStringInfo(&dedup->text, "%zu:%s", strlen(lfirst(cell)), (char *) lfirst(cell));
	digest_plain(dedup->text.data, dedup->text.len, dedup->origin);
}

static void
append_value(StringInfo text, Oid type, Datum value)
{
	switch (type)
	{
		case NUMERICOID: /* 1.0 is 1.00 */
			appendStringInfoString(text, numeric_normalize(DatumGetNumeric(value)));
			break;
		case UUIDOID:
			appendBinaryStringInfo(text, (char *) DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case TEXTOID:
		case VARCHAROID:
		case BYTEAOID:
		case INETOID:
		case CIDROID:
		{
			struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

			appendBinaryStringInfo(text, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
		}
		break;
		default:
			appendBinaryStringInfo(text, (char *) &value, sizeof(value));
	}
}

static void
make_key(Dedup *dedup, const Batch *batch, int row)
{
	Size cell = (Size) row * batch->natts + dedup->stream->dedup_key - 1;
	int number = batch->rows[row].number;
	uint8 digest[DIGEST_LENGTH];

	dedup->has_key[number] = !batch->isnull[cell];
	if (batch->isnull[cell])
		return;
	resetStringInfo(&dedup->text);
	appendBinaryStringInfo(&dedup->text, (char *) dedup->origin, DIGEST_LENGTH);
	append_value(&dedup->text, dedup->type, batch->values[cell]);
	digest_plain(dedup->text.data, dedup->text.len, digest);
	memset(&dedup->keys[number], 0, sizeof(Key));
	dedup->keys[number].partition = batch->rows[row].partition;
	memcpy(dedup->keys[number].digest, digest, STORED_LENGTH);
}

/* ---------------------------------------------------------------- what is known */

static Datum
digest_datum(const uint8 *digest)
{
	bytea *made = palloc(VARHDRSZ + STORED_LENGTH);

	SET_VARSIZE(made, VARHDRSZ + STORED_LENGTH);
	memcpy(VARDATA(made), digest, STORED_LENGTH);
	return PointerGetDatum(made);
}

static void
add_time(Dedup *dedup, Known *known, TimestampTz time)
{
	if (known->ntimes == known->capacity)
	{
		int capacity = known->capacity * 4;
		TimestampTz *times = MemoryContextAlloc(dedup->context, capacity * sizeof(TimestampTz));

		memcpy(times, known->times, known->ntimes * sizeof(TimestampTz));
		known->times = times;
		known->capacity = capacity;
	}
	known->times[known->ntimes++] = time;
}

/* The rows' keys, each once, as arrays for a statement; their number. */
static int
collect_keys(Dedup *dedup, Datum *partitions, Datum *digests)
{
	int count = 0;

	for (int i = 0; i < dedup->nkeys; i++)
	{
		bool found;
		Known *known;

		if (!dedup->has_key[i])
			continue;
		known = hash_search(dedup->known, &dedup->keys[i], HASH_ENTER, &found);
		if (found)
			continue;
		known->nstored = known->ntimes = 0;
		known->capacity = 1;
		known->times = &known->first;
		partitions[count] = Int32GetDatum(dedup->keys[i].partition);
		digests[count++] = digest_datum(dedup->keys[i].digest);
	}
	return count;
}

static void
note_known(Dedup *dedup, uint64 row)
{
	bool isnull;
	Key key;
	Known *known;
	bytea *digest;

	memset(&key, 0, sizeof(key));
	key.partition = DatumGetInt32(catalog_value(row, 1, &isnull));
	digest = DatumGetByteaPP(catalog_value(row, 2, &isnull));
	if (VARSIZE_ANY_EXHDR(digest) != STORED_LENGTH)
		return;
	memcpy(key.digest, VARDATA_ANY(digest), STORED_LENGTH);
	known = hash_search(dedup->known, &key, HASH_FIND, NULL);
	if (known == NULL)
		return;
	add_time(dedup, known, DatumGetTimestampTz(catalog_value(row, 3, &isnull)));
	known->nstored = known->ntimes;
}

static void
make_table(Dedup *dedup, int rows)
{
	HASHCTL control = {.keysize = sizeof(Key), .entrysize = sizeof(Known), .hcxt = dedup->context};

	dedup->keys = MemoryContextAllocHuge(dedup->context, rows * sizeof(Key));
	dedup->has_key = MemoryContextAllocZero(dedup->context, rows * sizeof(bool));
	dedup->nkeys = rows;
	dedup->known = hash_create("streamagg duplicates", Max(rows, 16), &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Once a batch: digests of all its rows, and what is stored of those. */
static void
learn(Dedup *dedup, const Batch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(dedup->context);
	Datum *partitions = palloc(sizeof(Datum) * batch->nrows);
	Datum *digests = palloc(sizeof(Datum) * batch->nrows);
	Datum values[3] = {ObjectIdGetDatum(dedup->stream->relid)};
	CatalogScope scope;
	uint64 rows;
	int count;

	make_table(dedup, batch->nrows);
	for (int i = 0; i < batch->nrows; i++)
		make_key(dedup, batch, i);
	count = collect_keys(dedup, partitions, digests);
	values[1] = catalog_array(partitions, NULL, count, INT4OID);
	values[2] = catalog_array(digests, NULL, count, BYTEAOID);
	catalog_enter(&scope);
	rows = count > 0 ? catalog_run(&read_known, values, NULL) : 0;
	for (uint64 i = 0; i < rows; i++)
		note_known(dedup, i);
	catalog_leave(&scope);
	MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------- the verdict */

static bool
matches(const Dedup *dedup, TimestampTz accepted, TimestampTz time, TimestampTz watermark)
{
	int64 within = dedup->stream->dedup_within;
	uint64 away =
		accepted > time ? (uint64) accepted - (uint64) time : (uint64) time - (uint64) accepted;

	if (within == FOREVER)
		return true;
	if (away >= (uint64) within)
		return false;
	return TIMESTAMP_IS_NOBEGIN(watermark) || accepted > watermark - within - FORGET_AFTER;
}

/* True for a duplicate; else the row is known from here on. */
static bool
judge(Dedup *dedup, const BatchRow *row, TimestampTz *highest)
{
	TimestampTz watermark = stream_watermark(*highest, dedup->stream->watermark_delay);

	if (dedup->has_key[row->number])
	{
		Known *known = hash_search(dedup->known, &dedup->keys[row->number], HASH_FIND, NULL);

		for (int i = 0; i < known->ntimes; i++)
			if (matches(dedup, known->times[i], row->event_time, watermark))
				return true;
		add_time(dedup, known, row->event_time);
	}
	*highest = Max(*highest, row->event_time);
	return false;
}

/* Nothing of this batch is accepted yet. */
static void
forget_batch(Dedup *dedup)
{
	HASH_SEQ_STATUS status;
	Known *known;

	hash_seq_init(&status, dedup->known);
	while ((known = hash_seq_search(&status)) != NULL)
		known->ntimes = known->nstored;
}

bool *
dedup_find(Dedup *dedup, const Batch *batch)
{
	bool *marks = palloc0(sizeof(bool) * batch->nrows);
	int npartitions = dedup->progress->npartitions;
	TimestampTz *highest = palloc(sizeof(TimestampTz) * Max(npartitions, 1));

	if (dedup->known == NULL)
		learn(dedup, batch);
	forget_batch(dedup);
	for (int i = 0; i < npartitions; i++)
		highest[i] = dedup->progress->partitions[i].max_before;
	for (int i = 0; i < batch->nrows; i++)
	{
		const BatchRow *row = &batch->rows[i];
		const Partition *partition = progress_find((Progress *) dedup->progress, row->partition);

		marks[i] = judge(dedup, row, &highest[partition - dedup->progress->partitions]);
	}
	pfree(highest);
	return marks;
}

/* ---------------------------------------------------------------- the store */

Dedup *
dedup_begin(const Stream *stream, const Progress *progress)
{
	Dedup *dedup;

	if (stream->dedup_key == 0)
		return NULL;
	dedup = palloc0(sizeof(Dedup));
	dedup->stream = stream;
	dedup->progress = progress;
	dedup->context = CurrentMemoryContext;
	dedup->type = getBaseType(stream->columns[stream->dedup_key - 1].type);
	initStringInfo(&dedup->text);
	digest_origin(dedup);
	return dedup;
}

static void
store(const Dedup *dedup, const Batch *batch)
{
	Datum *columns[3];
	Datum values[4] = {ObjectIdGetDatum(dedup->stream->relid)};
	int count = 0;

	for (int i = 0; i < 3; i++)
		columns[i] = palloc(sizeof(Datum) * batch->nrows);
	for (int i = 0; i < batch->nrows; i++)
	{
		const BatchRow *row = &batch->rows[i];

		if (!dedup->has_key[row->number])
			continue;
		columns[0][count] = Int32GetDatum(row->partition);
		columns[1][count] = digest_datum(dedup->keys[row->number].digest);
		columns[2][count++] = TimestampTzGetDatum(row->event_time);
	}
	if (count == 0)
		return;
	values[1] = catalog_array(columns[0], NULL, count, INT4OID);
	values[2] = catalog_array(columns[1], NULL, count, BYTEAOID);
	values[3] = catalog_array(columns[2], NULL, count, TIMESTAMPTZOID);
	catalog_execute(&store_known, values, NULL);
}

/* By the watermarks at the batch's start, so that a batch that is rolled back forgets no more. */
static void
trim_if_due(const Dedup *dedup)
{
	static TimestampTz last = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (dedup->stream->dedup_within == FOREVER ||
		!TimestampDifferenceExceeds(last, now, TRIM_EVERY_MS))
		return;
	last = now;
	for (int i = 0; i < dedup->progress->npartitions; i++)
	{
		const Partition *partition = &dedup->progress->partitions[i];
		Datum values[3] = {ObjectIdGetDatum(dedup->stream->relid), Int32GetDatum(partition->id)};

		if (TIMESTAMP_IS_NOBEGIN(partition->max_before))
			continue;
		values[2] = TimestampTzGetDatum(
			stream_watermark(partition->max_before, dedup->stream->watermark_delay) -
			dedup->stream->dedup_within - FORGET_AFTER);
		catalog_execute(&forget_known, values, NULL);
	}
}

void
dedup_store(Dedup *dedup, const Batch *batch)
{
	if (dedup == NULL)
		return;
	if (dedup->stream->dedup_within != 0 && batch->nrows > 0)
		store(dedup, batch);
	trim_if_due(dedup);
}
