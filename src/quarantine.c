/*
 * quarantine.c - collects what a batch refuses and writes it with the batch.
 *
 * Reasons are built from the fault's code and names only: no value of a record, and no other error's
 * text, is ever stored.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "event.h"
#include "quarantine.h"
#include "streamagg.h"

#define TRIM_EVERY_MS 60000
#define RECENT_FAULTS 8

/* Of a record. */
enum
{
	RECORD_PARTITION,
	RECORD_OFFSET,
	RECORD_FAULT, /* which of the faults, from 1 */
	RECORD_DOCUMENT,
	RECORD_COLUMNS
};

/* Of a fault: records of one kind share it. */
enum
{
	FAULT_STAGE,
	FAULT_CODE,
	FAULT_REASON,
	FAULT_COLUMN,
	FAULT_RULES,
	FAULT_COLUMNS
};

typedef struct Table
{
	int columns;
	int count;
	int capacity;
	Datum *values[FAULT_COLUMNS];
	bool *isnull[FAULT_COLUMNS];
} Table;

typedef struct KnownFault
{
	RecordFault fault;
	int rules;	/* how many were broken */
	char *rule; /* if it was one */
	int number; /* in the table of faults, from 1 */
} KnownFault;

struct Quarantine
{
	Oid stream;
	MemoryContext context;
	Table records;
	Table faults;
	KnownFault recent[RECENT_FAULTS];
};

/*
 * Sets of unnest in a SELECT list, unlike those of FROM, do not pass through a tuplestore.  Rules are
 * arrays as text: an array of arrays would have to be rectangular.
 */
static CatalogStatement insert_records = {
	"INSERT INTO streamagg.quarantine_log (stream, partition, record_offset, stage, code, reason,"
	" column_name, failed_rules, record, received_at, status)"
	" SELECT $1, r.partition, r.record_offset, $6[r.fault], $7[r.fault], $8[r.fault],"
	" $9[r.fault], $10[r.fault]::pg_catalog.text[], r.record, pg_catalog.clock_timestamp(), $11"
	" FROM (SELECT pg_catalog.unnest($2) AS partition, pg_catalog.unnest($3) AS record_offset,"
	" pg_catalog.unnest($4) AS fault, pg_catalog.unnest($5) AS record) r",
	11,
	{REGCLASSOID, INT4ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, JSONBARRAYOID, TEXTARRAYOID,
	 TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID},
	NULL};

static const Oid record_types[RECORD_COLUMNS] = {INT4OID, INT8OID, INT4OID, JSONBOID};

static CatalogStatement delete_old = {
	"DELETE FROM streamagg.quarantine_log q USING streamagg.stream_progress s"
	" WHERE q.stream = s.stream"
	" AND q.received_at < pg_catalog.clock_timestamp() - $1 * interval '1 minute'",
	1,
	{INT4OID},
	NULL};

static CatalogStatement delete_surplus = {
	/* materialized: else the search for the last one to stay is made again for each note */
	"WITH surplus AS MATERIALIZED (SELECT s.stream, (SELECT o.received_at"
	" FROM streamagg.quarantine_log o WHERE o.stream = s.stream"
	" ORDER BY o.received_at DESC OFFSET $1 LIMIT 1) AS last"
	" FROM streamagg.stream_progress s) DELETE FROM streamagg.quarantine_log q USING surplus"
	" WHERE q.stream = surplus.stream AND q.received_at <= surplus.last",
	1,
	{INT8OID},
	NULL};

Quarantine *
quarantine_begin(Oid stream)
{
	Quarantine *quarantine = palloc0(sizeof(Quarantine));

	quarantine->stream = stream;
	quarantine->context = CurrentMemoryContext;
	quarantine->records.columns = RECORD_COLUMNS;
	quarantine->faults.columns = FAULT_COLUMNS;
	return quarantine;
}

/* Makes room for a row; false and 0 stand in it. */
static int
add_row(Table *table)
{
	int capacity = table->capacity ? table->capacity * 2 : 64;

	for (int i = 0; i < table->columns && table->count == table->capacity; i++)
	{
		Datum *values = palloc0(capacity * sizeof(Datum));
		bool *isnull = palloc0(capacity * sizeof(bool));

		if (table->count > 0)
		{
			memcpy(values, table->values[i], table->count * sizeof(Datum));
			memcpy(isnull, table->isnull[i], table->count * sizeof(bool));
		}
		table->values[i] = values;
		table->isnull[i] = isnull;
	}
	if (table->count == table->capacity)
		table->capacity = capacity;
	return table->count++;
}

static void
put_text(Table *table, int column, const char *text)
{
	int row = table->count - 1;

	table->isnull[column][row] = text == NULL;
	table->values[column][row] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* As the text of a text[], NULL for none. */
static const char *
rules_text(const List *rules)
{
	Datum *names = palloc(sizeof(Datum) * Max(list_length(rules), 1));
	int count = 0;
	ListCell *cell;

	if (rules == NIL)
		return NULL;
	foreach (cell, rules)
		names[count++] = CStringGetTextDatum((char *) lfirst(cell));
	return OidOutputFunctionCall(F_ARRAY_OUT, catalog_array(names, NULL, count, TEXTOID));
}

/* Names are constant or the stream's, so the same ones are the same pointers. */
static bool
is_same_fault(const RecordFault *a, const RecordFault *b)
{
	return a->code == b->code && a->stage == b->stage && a->column == b->column &&
		   a->rule == b->rule && a->aggregate == b->aggregate;
}

/* More rules than one are taken as different. */
static bool
is_known(const KnownFault *known, const RecordFault *fault, const List *rules)
{
	return known->number > 0 && list_length(rules) == known->rules && known->rules <= 1 &&
		   is_same_fault(fault, &known->fault) &&
		   (known->rules == 0 || strcmp(linitial(rules), known->rule) == 0);
}

/* Faults come in masses of a few kinds: their words are made once.  Returns the fault's number. */
static int
put_fault(Quarantine *quarantine, const RecordFault *fault, const List *rules)
{
	Table *faults = &quarantine->faults;
	KnownFault *known;

	for (known = quarantine->recent; known < quarantine->recent + RECENT_FAULTS; known++)
		if (is_known(known, fault, rules))
			return known->number;
	known = &quarantine->recent[add_row(faults) % RECENT_FAULTS];
	put_text(faults, FAULT_STAGE, fault->stage);
	put_text(faults, FAULT_CODE, unpack_sql_state(fault->code));
	put_text(faults, FAULT_REASON, record_fault_reason(fault));
	put_text(faults, FAULT_COLUMN, fault->column);
	put_text(faults, FAULT_RULES, rules_text(rules));
	known->fault = *fault;
	known->rules = list_length(rules);
	known->rule = known->rules == 1 ? pstrdup(linitial(rules)) : NULL;
	known->number = faults->count;
	return known->number;
}

/* Expanded, so that a subscript does not walk over the texts before it. */
static Datum
fault_texts(const Table *faults, int column)
{
	Datum array =
		catalog_array(faults->values[column], faults->isnull[column], faults->count, TEXTOID);

	return MakeExpandedObjectReadOnly(expand_array(array, CurrentMemoryContext, NULL), false, -1);
}

void
quarantine_add(Quarantine *quarantine, const Record *record, const RecordFault *fault,
			   Datum document, const List *rules)
{
	MemoryContext old = MemoryContextSwitchTo(quarantine->context);
	Table *records = &quarantine->records;
	int row = add_row(records);

	records->values[RECORD_PARTITION][row] = Int32GetDatum(record->partition);
	records->values[RECORD_OFFSET][row] = Int64GetDatum(record->offset);
	records->values[RECORD_FAULT][row] = Int32GetDatum(put_fault(quarantine, fault, rules));
	records->values[RECORD_DOCUMENT][row] = datumCopy(document, false, -1);
	MemoryContextSwitchTo(old);
}

void
quarantine_store(Quarantine *quarantine, const char *status)
{
	const Table *records = &quarantine->records;
	const Table *faults = &quarantine->faults;
	Datum values[1 + RECORD_COLUMNS + FAULT_COLUMNS + 1] = {ObjectIdGetDatum(quarantine->stream)};
	Datum *next = values + 1;

	if (records->count == 0)
		return;
	for (int i = 0; i < RECORD_COLUMNS; i++)
		*next++ =
			catalog_array(records->values[i], records->isnull[i], records->count, record_types[i]);
	for (int i = 0; i < FAULT_COLUMNS; i++)
		*next++ = fault_texts(faults, i);
	*next = CStringGetTextDatum(status);
	catalog_execute(&insert_records, values, NULL);
}

int
quarantine_count(const Quarantine *quarantine)
{
	return quarantine->records.count;
}

void
quarantine_place(const Quarantine *quarantine, int number, int32 *partition, int64 *offset)
{
	*partition = DatumGetInt32(quarantine->records.values[RECORD_PARTITION][number]);
	*offset = DatumGetInt64(quarantine->records.values[RECORD_OFFSET][number]);
}

static void
trim(CatalogStatement *statement, Datum limit, const char *why)
{
	uint64 deleted = catalog_execute(statement, &limit, NULL);

	if (deleted > 0)
		event_log(InvalidOid, "trim_quarantine",
				  psprintf(UINT64_FORMAT " records deleted: %s", deleted, why));
}

void
quarantine_trim_if_due(void)
{
	static TimestampTz last = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(last, now, TRIM_EVERY_MS))
		return;
	last = now;
	quarantine_trim();
}

void
quarantine_trim(void)
{
	if (streamagg_quarantine_keep > 0)
		trim(&delete_old, Int32GetDatum(streamagg_quarantine_keep),
			 "older than streamagg.quarantine_keep");
	if (streamagg_quarantine_max_rows > 0)
		trim(&delete_surplus, Int64GetDatum(streamagg_quarantine_max_rows),
			 "more than streamagg.quarantine_max_rows");
}
