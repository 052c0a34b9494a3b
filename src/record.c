/*
 * record.c - one record to one row: decode, convert or protect, check.
 *
 * The order of the verdicts is fixed: the document, then column by column its conversion or
 * protection, then NOT NULL, CHECK and max_future.  The first fault counts.  Every declared column is converted, whether
 * an aggregate reads it or not: the type is a hard rule, and what is accepted must not depend on
 * the aggregates that happen to exist.  Who calls it: ingest.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "check.h"
#include "decode/time.h"
#include "meta.h"
#include "record.h"
#include "redact.h"
#include "streamagg.h"

static const char max_future_rule[] = "max_future";

void
record_set_time(Record *record, int64 milliseconds)
{
	record->time = 0;
	record->has_time = RECORD_TIME_NONE;
	if (milliseconds == -1)
		return;
	record->has_time = RECORD_TIME_OUT_OF_RANGE;
	if (milliseconds < PG_INT64_MIN / 1000 - TIME_UNIX_EPOCH / 1000 ||
		milliseconds > PG_INT64_MAX / 1000)
		return;
	record->time = milliseconds * 1000 + TIME_UNIX_EPOCH;
	if (IS_VALID_TIMESTAMP(record->time))
		record->has_time = RECORD_TIME_VALID;
}

static bool
fail(RecordFault *fault, const char *stage, int code, const char *column, const char *rule)
{
	fault->stage = stage;
	fault->code = code;
	fault->column = column;
	fault->rule = rule;
	fault->aggregate = NULL;
	return false;
}

static int
verdict_code(JsonVerdict verdict)
{
	switch (verdict)
	{
		case JSON_OK:
			return 0;
		case JSON_BAD_SYNTAX:
			return ERRCODE_INVALID_TEXT_REPRESENTATION;
		case JSON_BAD_ENCODING:
			return ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
		case JSON_NUL_ESCAPE:
			return ERRCODE_UNTRANSLATABLE_CHARACTER;
		case JSON_TOO_DEEP:
			return ERRCODE_STATEMENT_TOO_COMPLEX;
		case JSON_NOT_OBJECT:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case JSON_NO_MEMORY:
			break;
	}
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

static int
decode(Stream *stream, const Record *record)
{
	if (record->length > (size_t) stream->max_message_bytes)
		return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	return verdict_code(json_read(stream->reader, record->value, record->length, stream->values));
}

static int
convert_column(Stream *stream, const StreamColumn *column, const Record *record, Datum *value,
			   bool *isnull, const char **stage)
{
	const JsonValue *found = &stream->values[column->value];

	*value = (Datum) 0;
	*isnull = true;
	if (column->source == SOURCE_NONE)
		return 0;
	if (column->source != SOURCE_PATH)
		return meta_convert(stream, column, record, value, isnull, stage);
	*stage = "convert";
	*isnull = found->kind == JSON_MISSING || found->kind == JSON_NULL;
	if (column->protection.kind != PROTECT_NONE)
		return *isnull ? 0 : protect_value(&column->protection, found, value, isnull, stage);
	return *isnull ? convert_null(&column->conversion)
				   : convert_value(&column->conversion, found, value);
}

static bool
convert_columns(Stream *stream, const Record *record, Datum *values, bool *isnull,
				RecordFault *fault)
{
	for (int i = 0; i < stream->natts; i++)
	{
		const StreamColumn *column = &stream->columns[i];
		const char *stage;
		int code = convert_column(stream, column, record, &values[i], &isnull[i], &stage);

		if (code)
			return fail(fault, stage, code, column->name, NULL);
	}
	return true;
}

/* False: the row's event time, which is not NULL, is infinite or too far ahead of the record's. */
static bool
judge_time(const Stream *stream, const Record *record, TimestampTz event_time, RecordFault *fault)
{
	const char *column = stream->columns[stream->event_time - 1].name;

	if (TIMESTAMP_NOT_FINITE(event_time))
		return fail(fault, "check", ERRCODE_DATETIME_FIELD_OVERFLOW, column, NULL);
	if (record->has_time == RECORD_TIME_VALID && event_time > record->time &&
		event_time - record->time > stream->max_future)
		return fail(fault, "check", ERRCODE_DATETIME_FIELD_OVERFLOW, column, max_future_rule);
	return true;
}

bool
record_to_row(Stream *stream, const Record *record, Datum *values, bool *isnull,
			  TimestampTz *event_time, RecordFault *fault)
{
	CheckFault broken;
	int code = decode(stream, record);

	if (code)
		return fail(fault, "decode", code, NULL, NULL);
	if (!convert_columns(stream, record, values, isnull, fault))
		return false;
	broken = check_row(stream, values, isnull);
	if (broken.code)
		return fail(fault, "check", broken.code, broken.column, broken.rule);
	*event_time = DatumGetTimestampTz(values[stream->event_time - 1]);
	return judge_time(stream, record, *event_time, fault);
}

/* ---------------------------------------------------------------- what may be shown */

/* Columns from the first that failed on: those behind it were not looked at before. */
static Bitmapset *
failing_columns(Stream *stream, const Record *record, Datum *values, bool *isnull)
{
	Bitmapset *failing = NULL;

	for (int i = 0; i < stream->natts; i++)
	{
		const char *stage;

		if (convert_column(stream, &stream->columns[i], record, &values[i], &isnull[i], &stage))
			failing = bms_add_member(failing, i + 1);
	}
	return failing;
}

static Bitmapset *
failing_rules(Stream *stream, const Record *record, Datum *values, bool *isnull, List **rules)
{
	int time = stream->event_time - 1;
	Bitmapset *failing = NULL;
	RecordFault late;

	*rules = check_all(stream, values, isnull, &failing);
	if (isnull[time] || judge_time(stream, record, DatumGetTimestampTz(values[time]), &late))
		return failing;
	if (late.rule)
		*rules = lappend(*rules, (char *) late.rule);
	return bms_add_member(failing, stream->event_time);
}

Datum
record_redact(Stream *stream, const Record *record, const RecordFault *fault, Datum *values,
			  bool *isnull, List **rules)
{
	Bitmapset *failing = NULL;

	*rules = NIL;
	if (strcmp(fault->stage, "decode") == 0)
		return redact_bytes(stream->quarantine_key, record->value, record->length,
							stream->max_message_bytes);
	if (strcmp(fault->stage, "check") == 0)
		failing = failing_rules(stream, record, values, isnull, rules);
	else if (fault->aggregate == NULL)
		failing = failing_columns(stream, record, values, isnull);
	return redact_document(stream, record->value, record->length, failing);
}
