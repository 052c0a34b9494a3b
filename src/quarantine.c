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

#include "catalog.h"
#include "quarantine.h"

enum
{
	COLUMN_PARTITION,
	COLUMN_OFFSET,
	COLUMN_STAGE,
	COLUMN_CODE,
	COLUMN_REASON,
	COLUMN_NAME,
	COLUMN_RULE,
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
};

static CatalogStatement insert_records = {
	"INSERT INTO streamagg.quarantine_log (stream, partition, record_offset, stage, code, reason,"
	" column_name, failed_rules, received_at, status)"
	" SELECT $1, r.partition, r.record_offset, r.stage, r.code, r.reason, r.column_name,"
	" CASE WHEN r.rule IS NOT NULL THEN ARRAY[r.rule] END, pg_catalog.clock_timestamp(), 'new'"
	" FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[],"
	" $7::text[], $8::text[])"
	" AS r (partition, record_offset, stage, code, reason, column_name, rule)",
	8,
	{REGCLASSOID, INT4ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
	 TEXTARRAYOID, TEXTARRAYOID},
	NULL};

static const Oid element_types[COLUMNS] = {INT4OID, INT8OID, TEXTOID, TEXTOID,
										   TEXTOID, TEXTOID, TEXTOID};

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

void
quarantine_add(Quarantine *quarantine, const Record *record, const RecordFault *fault)
{
	MemoryContext old = MemoryContextSwitchTo(quarantine->context);
	const char *rule = fault->code == ERRCODE_NOT_NULL_VIOLATION ? "not_null" : fault->rule;
	int row = quarantine->count;

	if (row == quarantine->capacity)
		grow(quarantine);
	quarantine->values[COLUMN_PARTITION][row] = Int32GetDatum(record->partition);
	quarantine->values[COLUMN_OFFSET][row] = Int64GetDatum(record->offset);
	quarantine->isnull[COLUMN_PARTITION][row] = quarantine->isnull[COLUMN_OFFSET][row] = false;
	put_text(quarantine, COLUMN_STAGE, fault->stage);
	put_text(quarantine, COLUMN_CODE, unpack_sql_state(fault->code));
	put_text(quarantine, COLUMN_REASON, record_fault_reason(fault));
	put_text(quarantine, COLUMN_NAME, fault->column);
	put_text(quarantine, COLUMN_RULE, rule);
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
