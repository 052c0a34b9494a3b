/*
 * retry.c - streamagg.retry_quarantine(): records of the quarantine are judged once more.
 *
 * What they were is not kept, so they are read from Kafka again, by the places in their notes.  A chunk
 * of them goes the way of a batch (ingest.c), which moves no offset and takes no number, so a worker of
 * the stream does not mind: it queues on the stream's row of stream_progress, as pushes do.  All chunks
 * are one transaction, the caller's.
 *
 * One retry of a stream at a time, by a lock that batches do not meet; and notes are locked by their
 * place in the table, which stays while the caller's statement runs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "aggregate/run.h"
#include "archive.h"
#include "catalog.h"
#include "event.h"
#include "ingest.h"
#include "key.h"
#include "reread.h"
#include "retry_select.h"
#include "streamagg.h"
#include "worker/session.h"

PG_FUNCTION_INFO_V1(streamagg_retry_quarantine);

#define CHUNK_RECORDS 10000
#define CHUNK_BYTES (16 * 1024 * 1024)

typedef enum Outcome
{
	OUTCOME_GONE, /* not found in Kafka */
	OUTCOME_ACCEPTED,
	OUTCOME_FAILED,
	OUTCOME_DUPLICATE, /* of a row that was accepted meanwhile, or of this retry */
	OUTCOMES
} Outcome;

typedef struct Retry
{
	Stream *stream;
	MemoryContext context;
	int count;
	RereadPlace *places;
	ItemPointerData *notes; /* where the note of each stands in quarantine_log */
	Outcome *outcomes;
	int64 totals[OUTCOMES];
	MemoryContext chunk; /* the records below and what belongs to them */
	int nrecords;
	size_t bytes;
	Record *records;
	int *numbers; /* of the records' places */
	bool moved;	  /* a watermark */
} Retry;

/* In the order of the places, so that both can be merged. */
static CatalogStatement find_notes = {
	"SELECT partition, record_offset, ctid FROM streamagg.quarantine_log"
	" WHERE stream = $1 AND status IN ('new', 'failed') ORDER BY 1, 2, received_at DESC",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement set_status = {
	"UPDATE streamagg.quarantine_log SET status = $3 WHERE stream = $1 AND ctid = ANY ($2)",
	3,
	{REGCLASSOID, TIDARRAYOID, TEXTOID},
	NULL};

/* The note that the batch has written says what is wrong with the record now. */
static CatalogStatement delete_notes = {
	"DELETE FROM streamagg.quarantine_log WHERE stream = $1 AND ctid = ANY ($2)",
	2,
	{REGCLASSOID, TIDARRAYOID},
	NULL};

/* ---------------------------------------------------------------- notes */

/* Keeps the note when it is of one of the places; the places come in the same order. */
static void
add_note(Retry *retry, const RereadPlace *note, uint64 row, const RereadPlace *places, int count,
		 int *at)
{
	bool isnull;

	if (retry->count > 0 && retry_select_compare(&retry->places[retry->count - 1], note) == 0)
		return;
	while (*at < count && retry_select_compare(&places[*at], note) < 0)
		(*at)++;
	if (places && (*at == count || retry_select_compare(&places[*at], note) != 0))
		return;
	retry->places[retry->count] = *note;
	retry->notes[retry->count++] = *(ItemPointer) DatumGetPointer(catalog_value(row, 3, &isnull));
}

/* The notes at these places that are open; places NULL: all. */
static void
find_open_notes(Retry *retry, const RereadPlace *places, int count)
{
	Datum stream = ObjectIdGetDatum(retry->stream->relid);
	CatalogScope scope;
	uint64 rows;
	int at = 0;
	bool isnull;

	catalog_enter(&scope);
	rows = catalog_run(&find_notes, &stream, NULL);
	retry->places = MemoryContextAllocHuge(retry->context, sizeof(RereadPlace) * Max(rows, 1));
	retry->notes = MemoryContextAllocHuge(retry->context, sizeof(ItemPointerData) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		RereadPlace note = {DatumGetInt32(catalog_value(i, 1, &isnull)),
							DatumGetInt64(catalog_value(i, 2, &isnull))};

		add_note(retry, &note, i, places, count, &at);
	}
	catalog_leave(&scope);
	retry->outcomes = MemoryContextAllocHuge(retry->context, sizeof(Outcome) * Max(rows, 1));
	for (int i = 0; i < retry->count; i++)
		retry->outcomes[i] = OUTCOME_GONE;
}

/* The notes of one outcome, as tid[]; counts them. */
static Datum
notes_of(Retry *retry, Outcome outcome)
{
	Datum *notes = palloc(sizeof(Datum) * Max(retry->count, 1));
	int count = 0;

	for (int i = 0; i < retry->count; i++)
		if (retry->outcomes[i] == outcome)
			notes[count++] = PointerGetDatum(&retry->notes[i]);
	retry->totals[outcome] = count;
	return catalog_array(notes, NULL, count, TIDOID);
}

static void
close_notes(Retry *retry)
{
	Datum values[3] = {ObjectIdGetDatum(retry->stream->relid)};
	CatalogScope scope;

	catalog_enter(&scope);
	values[1] = notes_of(retry, OUTCOME_ACCEPTED);
	values[2] = CStringGetTextDatum("accepted");
	catalog_run(&set_status, values, NULL);
	values[1] = notes_of(retry, OUTCOME_GONE);
	values[2] = CStringGetTextDatum("gone");
	catalog_run(&set_status, values, NULL);
	values[1] = notes_of(retry, OUTCOME_DUPLICATE);
	values[2] = CStringGetTextDatum("duplicate");
	catalog_run(&set_status, values, NULL);
	values[1] = notes_of(retry, OUTCOME_FAILED);
	catalog_run(&delete_notes, values, NULL);
	catalog_leave(&scope);
}

/* ---------------------------------------------------------------- a chunk */

static void
begin_chunk(Retry *retry)
{
	MemoryContextReset(retry->chunk);
	retry->records = MemoryContextAlloc(retry->chunk, sizeof(Record) * CHUNK_RECORDS);
	retry->numbers = MemoryContextAlloc(retry->chunk, sizeof(int) * CHUNK_RECORDS);
	retry->nrecords = 0;
	retry->bytes = 0;
}

static void
feed_chunk(Ingest *ingest, void *argument)
{
	const Retry *retry = argument;

	for (int i = 0; i < retry->nrecords; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ingest_record_again(ingest, &retry->records[i]);
	}
}

static void
set_outcome(Retry *retry, const RereadPlace *place, Outcome outcome)
{
	const RereadPlace *found =
		bsearch(place, retry->places, retry->count, sizeof(RereadPlace), retry_select_compare);

	retry->outcomes[found - retry->places] = outcome;
}

/* What the batch has put into quarantine again has failed; duplicates wait behind its rows. */
static void
note_outcomes(Retry *retry, const Ingest *ingest)
{
	const Batch *batch = ingest->stream->batch;

	for (int i = 0; i < retry->nrecords; i++)
		retry->outcomes[retry->numbers[i]] = OUTCOME_ACCEPTED;
	for (int i = 0; i < quarantine_count(ingest->quarantine); i++)
	{
		RereadPlace place;

		quarantine_place(ingest->quarantine, i, &place.partition, &place.offset);
		set_outcome(retry, &place, OUTCOME_FAILED);
	}
	for (int i = batch->nrows; i < batch->nrows + batch->naside; i++)
	{
		RereadPlace place = {batch->rows[i].partition, batch->rows[i].offset};

		set_outcome(retry, &place, OUTCOME_DUPLICATE);
	}
	for (int i = 0; i < ingest->progress->npartitions; i++)
		if (ingest->progress->partitions[i].max_event_time >
			ingest->progress->partitions[i].max_before)
			retry->moved = true;
}

static void
judge_chunk(Retry *retry)
{
	MemoryContext old = MemoryContextSwitchTo(retry->chunk);
	Ingest *ingest = ingest_whole(retry->stream, true, feed_chunk, retry);

	note_outcomes(retry, ingest);
	MemoryContextSwitchTo(old);
	begin_chunk(retry);
}

/* A copy in the current context; NULL stays NULL. */
static const char *
keep_bytes(Retry *retry, const char *bytes, size_t length)
{
	char *copy;

	if (bytes == NULL)
		return NULL;
	copy = palloc(length + 1);
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	retry->bytes += length;
	return copy;
}

static void
keep_headers(Retry *retry, Record *record)
{
	RecordHeader *headers = palloc(sizeof(RecordHeader) * Max(record->nheaders, 1));

	for (int i = 0; i < record->nheaders; i++)
	{
		const RecordHeader *header = &record->headers[i];

		headers[i].name = keep_bytes(retry, header->name, strlen(header->name));
		headers[i].value = keep_bytes(retry, header->value, header->length);
		headers[i].length = header->length;
	}
	record->headers = headers;
}

/* A tombstone is not the record that was refused. */
static void
take_record(const Record *found, int number, void *argument)
{
	Retry *retry = argument;
	MemoryContext old = MemoryContextSwitchTo(retry->chunk);
	Record *record = &retry->records[retry->nrecords];

	if (found->value != NULL)
	{
		*record = *found;
		record->value = keep_bytes(retry, found->value, found->length);
		record->key = keep_bytes(retry, found->key, found->key_length);
		keep_headers(retry, record);
		retry->numbers[retry->nrecords++] = number;
	}
	MemoryContextSwitchTo(old);
	if (retry->nrecords == CHUNK_RECORDS || retry->bytes > CHUNK_BYTES)
		judge_chunk(retry);
}

/* ---------------------------------------------------------------- the function */

static void
require_topic(Oid relid)
{
	if (stream_server_is_local(GetForeignTable(relid)->serverid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("stream \"%s\" is local: its records are kept nowhere",
							   get_rel_name(relid)),
						errhint("Push the records again, put right, with streamagg.push().")));
}

/* As the stream's owner; places NULL: all that are open. */
static void
retry_as_owner(Retry *retry, Oid relid, const RereadPlace *places, int count)
{
	OwnerScope scope;

	run_enter_owner(relid, &scope);
	retry->stream = stream_load(relid, CurrentMemoryContext);
	key_load(retry->stream);
	retry->chunk =
		AllocSetContextCreate(retry->context, "streamagg retry chunk", ALLOCSET_DEFAULT_SIZES);
	begin_chunk(retry);
	find_open_notes(retry, places, count);
	if (retry->count > 0)
		reread(retry->stream, retry->places, retry->count, take_record, retry);
	if (retry->nrecords > 0)
		judge_chunk(retry);
	close_notes(retry);
	if (retry->moved)
		session_renew(relid);
	stream_free(retry->stream);
	run_leave_owner(&scope);
}

static Datum
result_row(FunctionCallInfo fcinfo, const Retry *retry)
{
	int64 failed = retry->count - retry->totals[OUTCOME_ACCEPTED];
	Datum values[3] = {Int64GetDatum(retry->count), Int64GetDatum(retry->totals[OUTCOME_ACCEPTED]),
					   Int64GetDatum(failed)};
	bool nulls[3] = {false};
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * streamagg.retry_quarantine(stream, where_clause).  Errors: 42501 for others than members of the owner
 * and streamagg_operator, 55000 for a local stream, those of retry_select.h and kafka/consumer.h; and
 * those that halt a stream, such as the overflow of a group.
 */
Datum
streamagg_retry_quarantine(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	char *clause = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Retry retry = {.context = CurrentMemoryContext};
	RereadPlace *places = NULL;
	int count = 0;

	streamagg_require_preload();
	catalog_check_version();
	stream_require_control(relid);
	require_topic(relid);
	LockRelationOid(relid, ShareUpdateExclusiveLock);
	if (!retry_select_is_all(clause))
		places = retry_select(relid, clause, &count);
	retry_as_owner(&retry, relid, places, count);
	event_log(relid, "retry_quarantine",
			  psprintf("%d records, " INT64_FORMAT " accepted, " INT64_FORMAT
					   " refused once more, " INT64_FORMAT " gone, " INT64_FORMAT " duplicates",
					   retry.count, retry.totals[OUTCOME_ACCEPTED], retry.totals[OUTCOME_FAILED],
					   retry.totals[OUTCOME_GONE], retry.totals[OUTCOME_DUPLICATE]));
	return result_row(fcinfo, &retry);
}
