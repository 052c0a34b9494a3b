/*
 * redact.c - the redacted record of quarantine.
 *
 * A value that has not come through its column's conversion may be anything, so only what is known
 * to be an open column's good value is shown.  Keys that are not declared are shown by name when it
 * looks like one, since a misspelt name is what one looks for; others, which may be data (an e-mail
 * address as a key), by their length.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "document.h"
#include "redact.h"

#define MAX_SHOWN_BYTES 1000
#define MAX_UNDECLARED 64 /* members of an object */
#define MAX_NAME_LENGTH 63

/* A declared path, or what is left of it further down. */
typedef struct Declared
{
	List *path;
	bool shown;
} Declared;

/* ---------------------------------------------------------------- summaries */

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = (char *) text;
	value.val.string.len = strlen(text);
	pushJsonbValue(state, token, &value);
}

static int
number_length(const JsonbValue *value)
{
	return strlen(
		DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))));
}

/* Its JSON type and length: characters, digits, elements, members. */
static const char *
summary(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvBool:
			return "boolean";
		case jbvNumeric:
			return psprintf("number(%d)", number_length(value));
		case jbvString:
			return psprintf("string(%d)",
							pg_mbstrlen_with_len(value->val.string.val, value->val.string.len));
		default:
			return psprintf("%s(%u)", document_is_object(value) ? "object" : "array",
							JsonContainerSize(value->val.binary.data));
	}
}

static bool
is_small(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return value->val.string.len <= MAX_SHOWN_BYTES;
		case jbvNumeric:
			return number_length(value) <= MAX_SHOWN_BYTES;
		case jbvBinary:
			return value->val.binary.len <= MAX_SHOWN_BYTES;
		default:
			return true;
	}
}

static bool
looks_like_a_name(const JsonbValue *key)
{
	const char *name = key->val.string.val;

	if (key->val.string.len == 0 || key->val.string.len > MAX_NAME_LENGTH || isdigit(*name))
		return false;
	for (int i = 0; i < key->val.string.len; i++)
		if (!isalnum((unsigned char) name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	return true;
}

/* Two hidden names of a length become one member: their number is told at the end. */
static const char *
shown_name(const JsonbValue *key, bool declared)
{
	if (declared || looks_like_a_name(key))
		return pnstrdup(key->val.string.val, key->val.string.len);
	return psprintf("(key of %d bytes)", key->val.string.len);
}

/* ---------------------------------------------------------------- the document */

/*
 * What of the declared paths goes on behind a key; *ends: some end there, *shown: all of those may be
 * seen.
 */
static List *
declared_behind(const List *declared, const JsonbValue *key, bool *ends, bool *shown)
{
	List *behind = NIL;
	ListCell *cell;

	*ends = false;
	*shown = true;
	foreach (cell, declared)
	{
		const Declared *one = lfirst(cell);
		Declared *rest;

		if (!document_key_is(key, linitial(one->path)))
			continue;
		if (list_length(one->path) == 1)
		{
			*ends = true;
			*shown = *shown && one->shown;
			continue;
		}
		rest = palloc(sizeof(Declared));
		rest->path = list_copy_tail(one->path, 1);
		rest->shown = one->shown;
		behind = lappend(behind, rest);
	}
	return behind;
}

static JsonbValue *
redact_object(JsonbParseState **state, JsonbContainer *object, const List *declared);

static void
redact_member(JsonbParseState **state, const JsonbValue *key, JsonbValue *value,
			  const List *declared)
{
	bool ends;
	bool shown;
	List *behind = declared_behind(declared, key, &ends, &shown);

	push_text(state, WJB_KEY, shown_name(key, ends || behind != NIL));
	if (ends && shown && is_small(value))
		pushJsonbValue(state, WJB_VALUE, value);
	else if (!ends && behind != NIL && document_is_object(value))
		redact_object(state, value->val.binary.data, behind);
	else
		push_text(state, WJB_VALUE, summary(value));
}

static bool
is_declared(const JsonbValue *key, const List *declared)
{
	ListCell *cell;

	foreach (cell, declared)
		if (document_key_is(key, linitial(((Declared *) lfirst(cell))->path)))
			return true;
	return false;
}

static JsonbValue *
redact_object(JsonbParseState **state, JsonbContainer *object, const List *declared)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue key;
	JsonbValue value;
	int undeclared = 0;

	check_stack_depth();
	(void) JsonbIteratorNext(&iterator, &key, true);
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (is_declared(&key, declared) || ++undeclared <= MAX_UNDECLARED)
			redact_member(state, &key, &value, declared);
	}
	if (undeclared > MAX_UNDECLARED)
	{
		push_text(state, WJB_KEY, "(more)");
		push_text(state, WJB_VALUE, psprintf("members(%d)", undeclared - MAX_UNDECLARED));
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static List *
declared_paths(const Stream *stream, const Bitmapset *failing)
{
	List *declared = NIL;

	for (int i = 0; i < stream->natts; i++)
	{
		const StreamColumn *column = &stream->columns[i];
		Declared *one;

		if (column->source != SOURCE_PATH || column->path == NIL)
			continue;
		one = palloc(sizeof(Declared));
		one->path = column->path;
		one->shown = column->protection.kind == PROTECT_NONE && !bms_is_member(i + 1, failing);
		declared = lappend(declared, one);
	}
	return declared;
}

Datum
redact_document(const Stream *stream, const char *text, size_t length, const Bitmapset *failing)
{
	JsonbParseState *state = NULL;
	Jsonb *document;
	JsonbValue *redacted;

	if (document_parse(text, length, &document))
		return redact_bytes(stream->quarantine_key, text, length, stream->max_message_bytes);
	redacted = redact_object(&state, &document->root, declared_paths(stream, failing));
	return JsonbPGetDatum(JsonbValueToJsonb(redacted));
}

Datum
redact_bytes(const DigestKey *key, const char *bytes, size_t length, int64 limit)
{
	JsonbParseState *state = NULL;
	JsonbValue number;
	uint8 digest[DIGEST_LENGTH];
	char hex[2 * DIGEST_LENGTH + 1] = "";

	number.type = jbvNumeric;
	number.val.numeric = int64_to_numeric(length);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, WJB_KEY, "length");
	pushJsonbValue(&state, WJB_VALUE, &number);
	if (key && length <= (size_t) limit)
	{
		digest_keyed(key, bytes, length, digest);
		digest_hex(digest, hex);
		push_text(&state, WJB_KEY, "digest");
		push_text(&state, WJB_VALUE, hex);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}
