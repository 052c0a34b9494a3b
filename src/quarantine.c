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
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "event.h"
#include "quarantine.h"
#include "streamagg.h"

#define TRIM_EVERY_MS 60000

enum
{
	COLUMN_PARTITION,
	COLUMN_OFFSET,
	COLUMN_STAGE,
	COLUMN_CODE,
	COLUMN_REASON,
	COLUMN_NAME,
	COLUMN_RULES,
	COLUMN_RECORD,
	COLUMNS
};

struct Quarantine
{
	Oid stream;
	MemoryContext context;
	int count;
	int capacity;
	Datum *values[COLUMNS];
	bool *isnull[COLUMNS];
	RecordFault last; /* of the last record */
	char *last_rules;
};

/* rules are arrays as text: an array of arrays would have to be rectangular */
static CatalogStatement insert_records = {
	"INSERT INTO streamagg.quarantine_log (stream, partition, record_offset, stage, code, reason,"
	" column_name, failed_rules, record, received_at, status)"
	" SELECT $1, r.partition, r.record_offset, r.stage, r.code, r.reason, r.column_name,"
	" r.rules::pg_catalog.text[], r.record, pg_catalog.clock_timestamp(), 'new'"
	" FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[],"
	" $7::text[], $8::text[], $9::jsonb[])"
	" AS r (partition, record_offset, stage, code, reason, column_name, rules, record)",
	9,
	{REGCLASSOID, INT4ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
	 TEXTARRAYOID, TEXTARRAYOID, JSONBARRAYOID},
	NULL};

static const Oid element_types[COLUMNS] = {INT4OID, INT8OID, TEXTOID, TEXTOID,
										   TEXTOID, TEXTOID, TEXTOID, JSONBOID};

static CatalogStatement delete_old = {
	"DELETE FROM streamagg.quarantine_log q USING streamagg.stream_progress s"
	" WHERE q.stream = s.stream"
	" AND q.received_at < pg_catalog.clock_timestamp() - $1 * interval '1 minute'",
	1,
	{INT4OID},
	NULL};

static CatalogStatement delete_surplus = {
	"DELETE FROM streamagg.quarantine_log q USING (SELECT s.stream, (SELECT o.received_at"
	" FROM streamagg.quarantine_log o WHERE o.stream = s.stream"
	" ORDER BY o.received_at DESC OFFSET $1 LIMIT 1) AS last"
	" FROM streamagg.stream_progress s) surplus"
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
	return quarantine;
}

static void
grow(Quarantine *quarantine)
{
	int capacity = quarantine->capacity ? quarantine->capacity * 2 : 64;

	for (int i = 0; i < COLUMNS; i++)
	{
		Datum *values = palloc(capacity * sizeof(Datum));
		bool *isnull = palloc(capacity * sizeof(bool));

		if (quarantine->count > 0)
		{
			memcpy(values, quarantine->values[i], quarantine->count * sizeof(Datum));
			memcpy(isnull, quarantine->isnull[i], quarantine->count * sizeof(bool));
		}
		quarantine->values[i] = values;
		quarantine->isnull[i] = isnull;
	}
	quarantine->capacity = capacity;
}

static void
put_text(Quarantine *quarantine, int column, const char *text)
{
	int row = quarantine->count;

	quarantine->isnull[column][row] = text == NULL;
	quarantine->values[column][row] = text ? CStringGetTextDatum(text) : (Datum) 0;
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

/* Faults come in masses of one kind: their words are made once. */
static void
put_fault(Quarantine *quarantine, const RecordFault *fault)
{
	int row = quarantine->count;

	if (row > 0 && is_same_fault(fault, &quarantine->last))
	{
		for (int i = COLUMN_STAGE; i <= COLUMN_NAME; i++)
		{
			quarantine->values[i][row] = quarantine->values[i][row - 1];
			quarantine->isnull[i][row] = quarantine->isnull[i][row - 1];
		}
		return;
	}
	put_text(quarantine, COLUMN_STAGE, fault->stage);
	put_text(quarantine, COLUMN_CODE, unpack_sql_state(fault->code));
	put_text(quarantine, COLUMN_REASON, record_fault_reason(fault));
	put_text(quarantine, COLUMN_NAME, fault->column);
	quarantine->last = *fault;
}

/* One broken rule, the same as that of the record before. */
static bool
repeats_rules(const Quarantine *quarantine, const List *rules)
{
	return quarantine->count > 0 && quarantine->last_rules && list_length(rules) == 1 &&
		   strcmp(linitial(rules), quarantine->last_rules) == 0;
}

static void
put_rules(Quarantine *quarantine, const List *rules)
{
	int row = quarantine->count;

	if (repeats_rules(quarantine, rules))
	{
		quarantine->values[COLUMN_RULES][row] = quarantine->values[COLUMN_RULES][row - 1];
		quarantine->isnull[COLUMN_RULES][row] = false;
		return;
	}
	put_text(quarantine, COLUMN_RULES, rules_text(rules));
	quarantine->last_rules = list_length(rules) == 1 ? pstrdup(linitial(rules)) : NULL;
}

void
quarantine_add(Quarantine *quarantine, const Record *record, const RecordFault *fault,
			   Datum document, const List *rules)
{
	MemoryContext old = MemoryContextSwitchTo(quarantine->context);
	int row = quarantine->count;

	if (row == quarantine->capacity)
		grow(quarantine);
	quarantine->values[COLUMN_PARTITION][row] = Int32GetDatum(record->partition);
	quarantine->values[COLUMN_OFFSET][row] = Int64GetDatum(record->offset);
	quarantine->values[COLUMN_RECORD][row] = datumCopy(document, false, -1);
	quarantine->isnull[COLUMN_PARTITION][row] = quarantine->isnull[COLUMN_OFFSET][row] =
		quarantine->isnull[COLUMN_RECORD][row] = false;
	put_fault(quarantine, fault);
	put_rules(quarantine, rules);
	quarantine->count++;
	MemoryContextSwitchTo(old);
}

void
quarantine_store(Quarantine *quarantine)
{
	Datum values[COLUMNS + 1] = {ObjectIdGetDatum(quarantine->stream)};

	if (quarantine->count == 0)
		return;
	for (int i = 0; i < COLUMNS; i++)
		values[i + 1] = catalog_array(quarantine->values[i], quarantine->isnull[i],
									  quarantine->count, element_types[i]);
	catalog_execute(&insert_records, values, NULL);
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
