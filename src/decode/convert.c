/*
 * convert.c - JSON values to Datums: the choice of a way, and the general one.
 *
 * The verdicts are jsonb_populate_record's, but nothing is rounded.  Frequent types have a way of
 * their own that raises no errors (ways_*.c); any other scalar type goes through its input function
 * inside a subtransaction.  A value never appears in an error: only its SQLSTATE leaves.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "guard.h"
#include "sqlstate.h"
#include "ways.h"

typedef struct InputCall
{
	const Conversion *conversion;
	char *text;
	Datum result;
} InputCall;

static void
call_input(InputCall *call)
{
	call->result = InputFunctionCall((FmgrInfo *) &call->conversion->input, call->text,
									 call->conversion->input_param, call->conversion->typmod);
}

static void
call_jsonb(InputCall *call)
{
	call->result = DirectFunctionCall1(jsonb_in, CStringGetDatum(call->text));
}

typedef struct SafeCall
{
	void (*function)(InputCall *);
	InputCall *call;
} SafeCall;

static void
run_call(void *argument)
{
	SafeCall *safe = argument;

	safe->function(safe->call);
}

/* Runs the call as a step of the batch's guard; returns 0 or the SQLSTATE that it raised. */
static int
call_safely(void (*function)(InputCall *), InputCall *call)
{
	SafeCall safe = {function, call};

	return guard_try(run_call, &safe, sqlstate_is_no_server_trouble);
}

/* Words that read the clock: the same record gives the same value always. */
static bool
reads_clock(Oid type, const char *text)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	if (type != TIMESTAMPOID && type != TIMEOID && type != TIMETZOID)
		return false;
	while (*text)
	{
		size_t length = 0;

		while (isalpha((unsigned char) text[length]))
			length++;
		for (size_t i = 0; i < lengthof(words); i++)
			if (length == strlen(words[i]) && pg_strncasecmp(text, words[i], length) == 0)
				return true;
		text += Max(length, 1);
	}
	return false;
}

/* A string as JSON text: what a column of type json holds. */
static char *
quoted_json(const JsonValue *value)
{
	StringInfoData text;

	initStringInfo(&text);
	escape_json(&text, pnstrdup(value->text, value->length));
	return text.data;
}

static int
convert_general(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	InputCall call = {conversion, NULL, 0};
	int fault = 0;

	if (is_composite(value) && conversion->type != JSONOID)
		return BAD_TEXT;
	if (value->kind == JSON_NUMBER)
		fault = ways_number_text(value, &call.text);
	else if (value->kind == JSON_STRING && conversion->type == JSONOID)
		call.text = quoted_json(value);
	else
		call.text = pnstrdup(value->text, value->length);
	if (fault == 0 && reads_clock(getBaseType(conversion->type), call.text))
		return ERRCODE_INVALID_DATETIME_FORMAT;
	if (fault == 0)
		fault = call_safely(call_input, &call);
	*result = call.result;
	return fault;
}

/* An object or array as jsonb: numbers beyond numeric are the only fault left. */
int
ways_jsonb_of_composite(const JsonValue *value, Datum *result)
{
	InputCall call = {NULL, pnstrdup(value->text, value->length), 0};
	int fault = call_safely(call_jsonb, &call);

	*result = call.result;
	return fault;
}

static const struct
{
	Oid type;
	ConvertFunction convert;
} fast_ways[] = {
	{INT2OID, convert_int16},
	{INT4OID, convert_int32},
	{INT8OID, convert_int64},
	{FLOAT4OID, convert_float4},
	{FLOAT8OID, convert_float8},
	{NUMERICOID, convert_numeric},
	{BOOLOID, convert_bool},
	{TEXTOID, convert_text},
	{VARCHAROID, convert_varchar},
	{JSONBOID, convert_jsonb},
	{UUIDOID, convert_uuid},
	{INETOID, convert_inet},
	{TIMESTAMPTZOID, convert_timestamptz},
	{DATEOID, convert_date},
};

static ConvertFunction
choose(Oid type, TimeEncoding encoding)
{
	if (encoding >= ENCODING_EPOCH_S)
		return convert_epoch;
	for (size_t i = 0; i < lengthof(fast_ways); i++)
		if (fast_ways[i].type == type)
			return fast_ways[i].convert;
	return convert_general;
}

void
convert_init(Conversion *conversion, Oid type, int32 typmod, TimeEncoding encoding,
			 ConvertAlloc alloc, void *arena)
{
	Oid base = getBaseType(type);
	Oid input;

	if (type_is_rowtype(base) || OidIsValid(get_element_type(base)) || type_is_range(base))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("columns of type %s are not supported yet", format_type_be(type)),
						errhint("Declare the column as jsonb.")));
	conversion->type = type;
	conversion->typmod = typmod;
	conversion->encoding = encoding;
	conversion->alloc = alloc;
	conversion->arena = arena;
	conversion->convert = choose(type, encoding);
	getTypeInputInfo(type, &input, &conversion->input_param);
	fmgr_info_cxt(input, &conversion->input, CurrentMemoryContext);
}
