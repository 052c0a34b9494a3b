/*
 * record.c - one record to one row: decode, convert, check.
 *
 * The order of the verdicts is fixed: the document, then column by column its conversion, then NOT
 * NULL, CHECK and max_future.  The first fault counts.  Every declared column is converted, whether
 * an aggregate reads it or not: the type is a hard rule, and what is accepted must not depend on
 * the aggregates that happen to exist.  Who calls it: ingest.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "check.h"
#include "record.h"

void
record_set_time(Record *record, int64 milliseconds)
{
	static const int64 epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	record->time = 0;
	record->has_time = RECORD_TIME_NONE;
	if (milliseconds == -1)
		return;
	record->has_time = RECORD_TIME_OUT_OF_RANGE;
	if (milliseconds < PG_INT64_MIN / 1000 + epoch / 1000 || milliseconds > PG_INT64_MAX / 1000)
		return;
	record->time = milliseconds * 1000 - epoch;
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

static void
set_number(JsonValue *value, char *buffer, int64 number)
{
	value->kind = JSON_NUMBER;
	value->length = pg_lltoa(number, buffer);
	value->text = buffer;
}

static void
set_string(JsonValue *value, const char *text, size_t length)
{
	value->kind = text ? JSON_STRING : JSON_MISSING;
	value->text = text;
	value->length = length;
}

/* A meta column's value in the shape of a JSON value; buffer is for its digits or its time. */
static int
meta_value(const Stream *stream, const Record *record, ColumnSource source, JsonValue *value,
		   char *buffer)
{
	switch (source)
	{
		case SOURCE_PARTITION:
			set_number(value, buffer, record->partition);
			break;
		case SOURCE_OFFSET:
			set_number(value, buffer, record->offset);
			break;
		case SOURCE_KEY:
			if (record->key && !pg_verify_mbstr(PG_UTF8, record->key, record->key_length, true))
				return ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
			set_string(value, record->key, record->key_length);
			break;
		case SOURCE_TOPIC:
			set_string(value, stream->topic, stream->topic ? strlen(stream->topic) : 0);
			break;
		default:
			elog(ERROR, "unexpected column source %d", (int) source);
	}
	return 0;
}

/* The record's own time needs no text between. */
static int
convert_time(const StreamColumn *column, const Record *record, Datum *value, bool *isnull)
{
	JsonValue text;

	if (record->has_time == RECORD_TIME_OUT_OF_RANGE)
		return ERRCODE_DATETIME_FIELD_OVERFLOW;
	*isnull = record->has_time == RECORD_TIME_NONE;
	if (*isnull)
		return convert_null(&column->conversion);
	*value = TimestampTzGetDatum(record->time);
	if (column->type == TIMESTAMPTZOID && column->conversion.typmod < 0)
		return 0;
	set_string(&text, timestamptz_to_str(record->time), 0);
	text.length = strlen(text.text);
	return convert_value(&column->conversion, &text, value);
}

static int
convert_column(Stream *stream, const StreamColumn *column, const Record *record, Datum *value,
			   bool *isnull)
{
	JsonValue meta;
	const JsonValue *found = &stream->values[column->value];
	char buffer[32];
	int fault;

	*value = (Datum) 0;
	*isnull = true;
	if (column->source == SOURCE_TIMESTAMP)
		return convert_time(column, record, value, isnull);
	if (column->source != SOURCE_PATH)
	{
		fault = meta_value(stream, record, column->source, &meta, buffer);
		if (fault)
			return fault;
		found = &meta;
	}
	*isnull = found->kind == JSON_MISSING || found->kind == JSON_NULL;
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
		int code;

		if (column->source == SOURCE_NONE)
		{
			values[i] = (Datum) 0;
			isnull[i] = true;
			continue;
		}
		code = convert_column(stream, column, record, &values[i], &isnull[i]);
		if (code)
			return fail(fault, "convert", code, column->name, NULL);
	}
	return true;
}

bool
record_to_row(Stream *stream, const Record *record, Datum *values, bool *isnull,
			  TimestampTz *event_time, RecordFault *fault)
{
	CheckFault broken;
	int code = decode(stream, record);
	const char *time_column = stream->columns[stream->event_time - 1].name;

	if (code)
		return fail(fault, "decode", code, NULL, NULL);
	if (!convert_columns(stream, record, values, isnull, fault))
		return false;
	broken = check_row(stream, values, isnull);
	if (broken.code)
		return fail(fault, "check", broken.code, broken.column, broken.rule);
	*event_time = DatumGetTimestampTz(values[stream->event_time - 1]);
	if (TIMESTAMP_NOT_FINITE(*event_time))
		return fail(fault, "check", ERRCODE_DATETIME_FIELD_OVERFLOW, time_column, NULL);
	if (record->has_time == RECORD_TIME_VALID && *event_time > record->time &&
		*event_time - record->time > stream->max_future)
		return fail(fault, "check", ERRCODE_DATETIME_FIELD_OVERFLOW, time_column, "max_future");
	return true;
}

/* ---------------------------------------------------------------- reasons */

static const char *
document_reason(int code)
{
	switch (code)
	{
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return "the message is longer than max_message_bytes";
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE:
			return "the message is not valid UTF-8";
		case ERRCODE_UNTRANSLATABLE_CHARACTER:
			return "a string of the message contains \\u0000";
		case ERRCODE_STATEMENT_TOO_COMPLEX:
			return "the message is nested deeper than 512 levels";
		case ERRCODE_INVALID_PARAMETER_VALUE:
			return "the message is not a JSON object";
		default:
			return "the message is not valid JSON";
	}
}

static const char *
value_reason(int code)
{
	switch (code)
	{
		case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
			return "the number is out of range or would be rounded";
		case ERRCODE_DATETIME_FIELD_OVERFLOW:
			return "the time is out of range or would be rounded";
		case ERRCODE_INVALID_DATETIME_FORMAT:
			return "the value is not a time";
		case ERRCODE_STRING_DATA_RIGHT_TRUNCATION:
			return "the value is too long";
		case ERRCODE_NOT_NULL_VIOLATION:
			return "it is missing or null, or a part of it is";
		case ERRCODE_CHECK_VIOLATION:
			return "the value breaks a constraint of its domain";
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE:
			return "the value is not valid UTF-8";
		default:
			return "the value does not have the form of its type";
	}
}

static char *
check_reason(const RecordFault *fault)
{
	if (fault->code == ERRCODE_NOT_NULL_VIOLATION)
		return psprintf("column \"%s\" is missing or null", fault->column);
	if (fault->code == ERRCODE_CHECK_VIOLATION)
		return psprintf("the row breaks check constraint \"%s\"", fault->rule);
	if (fault->rule)
		return pstrdup("the event time is further than max_future ahead of the record's time");
	return pstrdup("the event time is infinite");
}

char *
record_fault_reason(const RecordFault *fault)
{
	if (strcmp(fault->stage, "decode") == 0)
		return pstrdup(document_reason(fault->code));
	if (strcmp(fault->stage, "check") == 0)
		return check_reason(fault);
	return psprintf("column \"%s\": %s", fault->column, value_reason(fault->code));
}
