/*
 * meta.c - meta columns: what Kafka says of a record, and the parts of a document that no other
 * column takes.
 *
 * Keys and headers are bytes: a column of type bytea takes them as they are, any other reads them as
 * text, which must be UTF-8.  rest and headers leave out what has a protected column of its own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "document.h"
#include "meta.h"

/* ---------------------------------------------------------------- bytes and numbers */

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

static bool
is_text(const char *bytes, size_t length)
{
	return pg_verify_mbstr(PG_UTF8, bytes, length, true);
}

static Datum
make_bytes(Stream *stream, const char *bytes, size_t length)
{
	bytea *made = batch_alloc(stream->batch, VARHDRSZ + length);

	SET_VARSIZE(made, VARHDRSZ + length);
	memcpy(VARDATA(made), bytes, length);
	return PointerGetDatum(made);
}

/* A domain may refuse it. */
static int
null_verdict(const StreamColumn *column)
{
	return column->protection.kind == PROTECT_NONE ? convert_null(&column->conversion) : 0;
}

/* Protected, converted, or as they are. */
static int
convert_bytes(Stream *stream, const StreamColumn *column, const char *bytes, size_t length,
			  Datum *value, bool *isnull, const char **stage)
{
	JsonValue text;

	*isnull = bytes == NULL || column->protection.kind == PROTECT_DROP;
	if (*isnull)
		return null_verdict(column);
	if (column->type == BYTEAOID && column->protection.kind == PROTECT_NONE)
	{
		*value = make_bytes(stream, bytes, length);
		return 0;
	}
	if (!is_text(bytes, length))
		return ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
	set_string(&text, bytes, length);
	if (column->protection.kind != PROTECT_NONE)
		return protect_value(&column->protection, &text, value, isnull, stage);
	return convert_value(&column->conversion, &text, value);
}

/* The record's own time needs no text between. */
static int
convert_time(const StreamColumn *column, const Record *record, Datum *value, bool *isnull)
{
	JsonValue text;
	const char *printed;

	if (record->has_time == RECORD_TIME_OUT_OF_RANGE)
		return ERRCODE_DATETIME_FIELD_OVERFLOW;
	*isnull = record->has_time == RECORD_TIME_NONE;
	if (*isnull)
		return null_verdict(column);
	*value = TimestampTzGetDatum(record->time);
	if (column->type == TIMESTAMPTZOID && column->conversion.typmod < 0)
		return 0;
	printed = timestamptz_to_str(record->time);
	set_string(&text, printed, strlen(printed));
	return convert_value(&column->conversion, &text, value);
}

static int
convert_scalar(const Stream *stream, const StreamColumn *column, const Record *record, Datum *value,
			   bool *isnull)
{
	JsonValue scalar;
	char buffer[32];

	if (column->source == SOURCE_PARTITION)
		set_number(&scalar, buffer, record->partition);
	else if (column->source == SOURCE_OFFSET)
		set_number(&scalar, buffer, record->offset);
	else
		set_string(&scalar, stream->topic, stream->topic ? strlen(stream->topic) : 0);
	*isnull = scalar.kind == JSON_MISSING;
	return *isnull ? null_verdict(column) : convert_value(&column->conversion, &scalar, value);
}

/* ---------------------------------------------------------------- headers */

/* More than a message may have is refused as a longer message would be. */
static bool
headers_are_too_large(const Stream *stream, const Record *record)
{
	size_t total = 0;

	for (int i = 0; i < record->nheaders; i++)
		total += strlen(record->headers[i].name) + record->headers[i].length;
	return total > (size_t) stream->max_message_bytes;
}

static bool
is_protected_header(const Stream *stream, const char *name)
{
	for (int i = 0; i < stream->natts; i++)
		if (stream->columns[i].source == SOURCE_HEADER &&
			stream->columns[i].protection.kind != PROTECT_NONE &&
			strcmp(stream->columns[i].header, name) == 0)
			return true;
	return false;
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *text, size_t length)
{
	JsonbValue value;

	value.type = text ? jbvString : jbvNull;
	if (text)
	{
		value.val.string.val = (char *) text;
		value.val.string.len = length;
	}
	pushJsonbValue(state, token, &value);
}

/* All of them as one object; of a name that comes twice the last. */
static int
convert_headers(const Stream *stream, const Record *record, Datum *value, bool *isnull)
{
	JsonbParseState *state = NULL;

	*isnull = record->nheaders == 0;
	if (*isnull)
		return 0;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < record->nheaders; i++)
	{
		const RecordHeader *header = &record->headers[i];

		if (!is_text(header->name, strlen(header->name)) ||
			(header->value && !is_text(header->value, header->length)))
			return ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
		if (is_protected_header(stream, header->name))
			continue;
		push_string(&state, WJB_KEY, header->name, strlen(header->name));
		push_string(&state, WJB_VALUE, header->value, header->length);
	}
	*value = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
	return 0;
}

/* The last of its name, as consumers of Kafka take it. */
static int
convert_header(Stream *stream, const StreamColumn *column, const Record *record, Datum *value,
			   bool *isnull, const char **stage)
{
	const RecordHeader *found = NULL;

	for (int i = 0; i < record->nheaders; i++)
		if (strcmp(record->headers[i].name, column->header) == 0)
			found = &record->headers[i];
	*isnull = true;
	if (found == NULL)
		return null_verdict(column);
	return convert_bytes(stream, column, found->value, found->length, value, isnull, stage);
}

/* ---------------------------------------------------------------- rest */

/* A path of another column, or what is left of it further down. */
typedef struct TakenPath
{
	List *keys;
	bool is_protected;
} TakenPath;

/* What goes on behind a key; *ends: a path ends there, *hides: a protected one goes on. */
static List *
paths_behind(const List *paths, const JsonbValue *key, bool *ends, bool *hides)
{
	List *behind = NIL;
	ListCell *cell;

	*ends = *hides = false;
	foreach (cell, paths)
	{
		const TakenPath *path = lfirst(cell);
		TakenPath *rest;

		if (!document_key_is(key, linitial(path->keys)))
			continue;
		*ends = *ends || list_length(path->keys) == 1;
		*hides = *hides || path->is_protected;
		rest = palloc(sizeof(TakenPath));
		rest->keys = list_copy_tail(path->keys, 1);
		rest->is_protected = path->is_protected;
		behind = lappend(behind, rest);
	}
	return behind;
}

/*
 * The object without what stands at the paths; an emptied object stays.  What is no object where a
 * protected path goes on (a string, an array of objects) may be what the path was to hide: it goes.
 */
static JsonbValue *
copy_without(JsonbParseState **state, JsonbContainer *object, const List *paths)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue key;
	JsonbValue value;

	check_stack_depth();
	(void) JsonbIteratorNext(&iterator, &key, true);
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		bool ends;
		bool hides;
		List *behind = paths_behind(paths, &key, &ends, &hides);

		(void) JsonbIteratorNext(&iterator, &value, true);
		if (ends || (hides && !document_is_object(&value)))
			continue;
		pushJsonbValue(state, WJB_KEY, &key);
		if (behind != NIL && document_is_object(&value))
			copy_without(state, value.val.binary.data, behind);
		else
			pushJsonbValue(state, WJB_VALUE, &value);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static List *
taken_paths(const Stream *stream)
{
	List *paths = NIL;

	for (int i = 0; i < stream->natts; i++)
	{
		const StreamColumn *column = &stream->columns[i];
		TakenPath *path;

		if (column->source != SOURCE_PATH || column->path == NIL)
			continue;
		path = palloc(sizeof(TakenPath));
		path->keys = column->path;
		path->is_protected = column->protection.kind != PROTECT_NONE;
		paths = lappend(paths, path);
	}
	return paths;
}

/* What no path of another column takes; a number beyond numeric is the only fault left. */
int
meta_rest(const Stream *stream, const Record *record, Jsonb **rest)
{
	JsonbParseState *state = NULL;
	Jsonb *document;
	int code = document_parse(record->value, record->length, &document);

	if (code)
		return code;
	*rest = JsonbValueToJsonb(copy_without(&state, &document->root, taken_paths(stream)));
	return 0;
}

static int
convert_rest(const Stream *stream, const Record *record, Datum *value, bool *isnull)
{
	Jsonb *rest = NULL;
	int code = meta_rest(stream, record, &rest);

	*isnull = false;
	*value = JsonbPGetDatum(rest);
	return code;
}

/* ---------------------------------------------------------------- all */

int
meta_convert(Stream *stream, const StreamColumn *column, const Record *record, Datum *value,
			 bool *isnull, const char **stage)
{
	*stage = "convert";
	switch (column->source)
	{
		case SOURCE_TIMESTAMP:
			return convert_time(column, record, value, isnull);
		case SOURCE_KEY:
			return convert_bytes(stream, column, record->key, record->key_length, value, isnull,
								 stage);
		case SOURCE_RAW:
			return convert_bytes(stream, column, record->value, record->length, value, isnull,
								 stage);
		case SOURCE_HEADER:
		case SOURCE_HEADERS:
			if (headers_are_too_large(stream, record))
				return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
			return column->source == SOURCE_HEADERS
					   ? convert_headers(stream, record, value, isnull)
					   : convert_header(stream, column, record, value, isnull, stage);
		case SOURCE_REST:
			return convert_rest(stream, record, value, isnull);
		default:
			return convert_scalar(stream, column, record, value, isnull);
	}
}
