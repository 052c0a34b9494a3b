/*
 * push.c - streamagg.push(): records of a local stream, without a broker.
 *
 * The whole way of a record, as a worker takes it, in the caller's transaction and as the stream's
 * owner.  Offsets count from 0 in each partition.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "aggregate/retention.h"
#include "aggregate/run.h"
#include "archive.h"
#include "bad_share.h"
#include "catalog.h"
#include "ingest.h"
#include "key.h"
#include "streamagg.h"
#include "worker/control.h"

PG_FUNCTION_INFO_V1(streamagg_push);

/* The elements of an optional array argument. */
typedef struct Elements
{
	Datum *values;
	bool *isnull;
	int count;
} Elements;

static Elements
elements(FunctionCallInfo fcinfo, int number, Oid type)
{
	Elements found = {NULL, NULL, 0};
	int16 typlen;
	bool typbyval;
	char typalign;

	if (PG_ARGISNULL(number))
		return found;
	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), type, typlen, typbyval, typalign,
					  &found.values, &found.isnull, &found.count);
	return found;
}

static void
require_same_length(FunctionCallInfo fcinfo, int number, const char *name, const Elements *given,
					int count)
{
	if (!PG_ARGISNULL(number) && given->count != count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("messages has %d elements, %s has %d", count, name, given->count)));
}

static void
require_local(Oid relid, const Stream *stream)
{
	if (!stream->local)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" reads a topic", stream->name),
						errhint("push() is for streams of local servers, those without "
								"bootstrap_servers. Produce to the topic instead.")));
}

static void
make_record(Record *record, const Elements *messages, const Elements *keys,
			const Elements *timestamps, int i)
{
	record->value = NULL;
	record->length = 0;
	record->key = NULL;
	record->key_length = 0;
	if (!messages->isnull[i])
	{
		text *message = DatumGetTextPP(messages->values[i]);

		record->value = VARDATA_ANY(message);
		record->length = VARSIZE_ANY_EXHDR(message);
	}
	if (keys->count > 0 && !keys->isnull[i])
	{
		text *key = DatumGetTextPP(keys->values[i]);

		record->key = VARDATA_ANY(key);
		record->key_length = VARSIZE_ANY_EXHDR(key);
	}
	record->has_time = RECORD_TIME_VALID;
	record->time = timestamps->count > 0 && !timestamps->isnull[i]
					   ? DatumGetTimestampTz(timestamps->values[i])
					   : GetCurrentTransactionStartTimestamp();
	if (TIMESTAMP_NOT_FINITE(record->time))
		record->has_time = RECORD_TIME_OUT_OF_RANGE;
}

typedef struct Pushed
{
	int32 partition;
	const Elements *messages;
	const Elements *keys;
	const Elements *timestamps;
} Pushed;

static void
feed(Ingest *ingest, void *argument)
{
	const Pushed *pushed = argument;
	int64 offset = progress_partition(ingest->progress, pushed->partition, 0)->next_offset;

	for (int i = 0; i < pushed->messages->count; i++)
	{
		Record record = {.partition = pushed->partition, .offset = offset + i};

		CHECK_FOR_INTERRUPTS();
		make_record(&record, pushed->messages, pushed->keys, pushed->timestamps, i);
		ingest_record(ingest, &record);
	}
}

static Ingest *
push_batch(Stream *stream, Pushed *pushed)
{
	/* an aggregate gets every batch from its first on */
	Ingest *ingest = ingest_whole(stream, false, feed, pushed);
	BadShare share = {0, 0};

	bad_share_add(&share, stream, &ingest->total);
	archive_tend_local(stream);
	retention_tend_local(ingest->aggregates);
	if (ingest->total.quarantined > 0)
		quarantine_trim_if_due(); /* a database of local streams has no keeper */
	return ingest;
}

static Datum
result_row(FunctionCallInfo fcinfo, const Ingest *ingest)
{
	const Counters *total = &ingest->total;
	Datum values[7] = {Int64GetDatum(total->read),		  Int64GetDatum(total->accepted),
					   Int64GetDatum(total->quarantined), Int64GetDatum(total->dropped),
					   Int64GetDatum(total->duplicate),	  Int64GetDatum(total->tombstones),
					   Int64GetDatum(ingest->late)};
	bool nulls[7] = {false};
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* As the stream's owner, with the safe search_path, in a memory context of its own. */
static Ingest *
push_as_owner(Oid relid, Pushed *pushed)
{
	OwnerScope scope;
	Stream *stream;
	Ingest *ingest;

	run_enter_owner(relid, &scope);
	stream = stream_load(relid, CurrentMemoryContext);
	require_local(relid, stream);
	key_load(stream);
	control_register(relid);
	ingest = push_batch(stream, pushed);
	stream_free(stream);
	run_leave_owner(&scope);
	return ingest;
}

/*
 * streamagg.push(stream, messages, partition, keys, timestamps).  One call is one batch.  Errors:
 * 42501 for others than members of the owner, 55000 for a stream that reads a topic, 2202E for
 * arrays of different lengths.
 */
Datum
streamagg_push(PG_FUNCTION_ARGS)
{
	Elements messages = elements(fcinfo, 1, TEXTOID);
	Elements keys = elements(fcinfo, 3, TEXTOID);
	Elements timestamps = elements(fcinfo, 4, TIMESTAMPTZOID);
	Pushed pushed = {PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2), &messages, &keys, &timestamps};

	streamagg_require_preload();
	catalog_check_version();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("stream, messages and partition must not be null")));
	if (PG_GETARG_INT32(2) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("partition must not be negative")));
	require_same_length(fcinfo, 3, "keys", &keys, messages.count);
	require_same_length(fcinfo, 4, "timestamps", &timestamps, messages.count);
	stream_require_owner(PG_GETARG_OID(0));
	return result_row(fcinfo, push_as_owner(PG_GETARG_OID(0), &pushed));
}
