/*
 * convert.c - JSON values to Datums: the choice of a way, and the general ones.
 *
 * The verdicts are jsonb_populate_record's, but nothing is rounded and nothing reads the clock.
 * Frequent types have a way of their own that raises no errors (ways_*.c).  Other scalar types go
 * through their input function, arrays and composite types through nested.c, both guarded; a domain is its base type and its constraints.  A value never appears in an
 * error: only its SQLSTATE leaves.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "domain.h"
#include "guard.h"
#include "labels.h"
#include "nested.h"
#include "shape.h"
#include "sqlstate.h"
#include "streamagg.h"
#include "ways.h"

typedef struct InputCall
{
	const Conversion *conversion;
	const JsonValue *value;
	char *text;
	bool isnull;
	Datum result;
	int fault; /* a violation that is found without an error */
} InputCall;

/* ---------------------------------------------------------------- guarded calls */

static void
call_input(InputCall *call)
{
	const Conversion *conversion = call->conversion;
	FmgrInfo *input = (FmgrInfo *) &conversion->input;
	Rounding *rounding = (Rounding *) &conversion->rounding;
	Datum exact;

	call->fault =
		compat_input(input, call->text, conversion->input_param, conversion->typmod, &call->result);
	if (call->fault || rounding->code == 0)
		return;
	call->fault = compat_input(input, call->text, conversion->input_param, -1, &exact);
	if (call->fault == 0)
		call->fault = rounding_judge(rounding, call->result, exact);
}

static void
call_nested(InputCall *call)
{
	const Conversion *conversion = call->conversion;
	Rounding *rounding = (Rounding *) &conversion->rounding;
	Jsonb *document = nested_document(conversion->nested, call->value);

	if (document == NULL)
	{
		call->fault = ERRCODE_INVALID_DATETIME_FORMAT;
		return;
	}
	call->result = nested_populate(conversion->nested, document, false);
	if (rounding->code)
		call->fault = rounding_judge(rounding, call->result,
									 nested_populate(conversion->nested, document, true));
}

static void
call_domain(InputCall *call)
{
	call->fault = domain_judge(call->conversion->domain, call->result, call->isnull);
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
step(void *argument)
{
	SafeCall *safe = argument;

	safe->function(safe->call);
}

/*
 * Runs the call as a step of the batch's guard; returns 0 or the SQLSTATE that it raised.  A function
 * that an error has left in the middle must not be called again with what it kept for that.
 */
static int
call_safely(void (*function)(InputCall *), InputCall *call)
{
	SafeCall safe = {function, call};
	int code = guard_try(step, &safe, sqlstate_is_no_server_trouble);

	if (code && call->conversion && call->conversion->domain)
		domain_renew(call->conversion->domain);
	if (code && call->conversion && call->conversion->nested)
		nested_renew(call->conversion->nested);
	return code;
}

static int
run_call(void (*function)(InputCall *), InputCall *call)
{
	int fault = call_safely(function, call);

	return fault ? fault : call->fault;
}

/* ---------------------------------------------------------------- memory */

/* A copy in the arena: the scratch of the value goes. */
static Datum
keep(const Conversion *conversion, Datum value)
{
	Size size;
	void *kept;

	if (conversion->by_value)
		return value;
	if (conversion->length == -1 && VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		value = PointerGetDatum(PG_DETOAST_DATUM(value));
	size = datumGetSize(value, false, conversion->length);
	kept = conversion->alloc(conversion->arena, size);
	memcpy(kept, DatumGetPointer(value), size);
	return PointerGetDatum(kept);
}

int
ways_in_scratch(ConvertFunction way, const Conversion *conversion, const JsonValue *value,
				Datum *result)
{
	MemoryContext old = MemoryContextSwitchTo(conversion->scratch);
	int fault = way(conversion, value, result);

	if (fault == 0)
		*result = keep(conversion, *result);
	MemoryContextSwitchTo(old);
	MemoryContextReset(conversion->scratch);
	return fault;
}

/* ---------------------------------------------------------------- the general ways */

/* An object or array as jsonb: numbers beyond numeric are the only fault left. */
int
ways_jsonb_of_composite(const JsonValue *value, Datum *result)
{
	InputCall call = {.text = pnstrdup(value->text, value->length)};
	int fault = run_call(call_jsonb, &call);

	*result = call.result;
	return fault;
}

int
ways_composite_text(const JsonValue *value, char **text)
{
	Datum document;
	int fault = ways_jsonb_of_composite(value, &document);

	if (fault == 0)
		*text = JsonbToCString(NULL, &DatumGetJsonbP(document)->root, 0);
	return fault;
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

/* What jsonb_populate_record would hand to the type's input function. */
static int
input_text(const Conversion *conversion, const JsonValue *value, char **text)
{
	if (value->kind == JSON_NUMBER)
		return ways_number_text(value, text);
	if (is_composite(value) && conversion->type != JSONOID)
		return ways_composite_text(value, text);
	*text = value->kind == JSON_STRING && conversion->type == JSONOID
				? quoted_json(value)
				: pnstrdup(value->text, value->length);
	return 0;
}

/* The input of money drops what comes behind the cents. */
static bool
is_in_cents(const char *text)
{
	const char *at = strchr(text, '.');

	if (at == NULL)
		return true;
	for (int i = 0; i < 3 && *at; i++)
		at++;
	return *(at + strspn(at, "0")) < '1' || *(at + strspn(at, "0")) > '9';
}

static int
read_scalar(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	InputCall call = {.conversion = conversion};
	int fault = input_text(conversion, value, &call.text);

	if (fault)
		return fault;
	if (shape_text_reads_clock(conversion->shape, call.text, strlen(call.text)))
		return ERRCODE_INVALID_DATETIME_FORMAT;
	fault = run_call(call_input, &call);
	*result = call.result;
	if (fault == 0 && conversion->type == MONEYOID && !is_in_cents(call.text))
		return OUT_OF_RANGE;
	return fault;
}

static int
convert_scalar(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	return ways_in_scratch(read_scalar, conversion, value, result);
}

/* A label of an ALTER TYPE that has not ended: no fault of the record. */
static int
read_new_label(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	int fault = convert_scalar(conversion, value, result);

	if (fault == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE)
		ereport(ERROR, (errcode(fault),
						errmsg("a value of enum type %s is not committed yet",
							   format_type_be(conversion->type)),
						errhint("Commit ALTER TYPE before its new values are used.")));
	return fault;
}

static int
convert_enum(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	char *text = (char *) value->text;
	size_t length = value->length;
	bool usable;
	Oid found;

	if (value->kind != JSON_STRING)
	{
		int fault = input_text(conversion, value, &text);

		if (fault)
			return fault;
		length = strlen(text);
	}
	found = labels_find(conversion->labels, text, length, &usable);
	if (!OidIsValid(found))
		return BAD_TEXT;
	*result = ObjectIdGetDatum(found);
	return usable ? 0 : read_new_label(conversion, value, result);
}

static int
read_nested(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	InputCall call = {.conversion = conversion, .value = value};
	int fault;

	nested_follow(conversion->nested);
	fault = run_call(call_nested, &call);
	*result = call.result;
	return fault;
}

static int
convert_nested(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	return ways_in_scratch(read_nested, conversion, value, result);
}

static int
convert_domain(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	InputCall call = {.conversion = conversion};
	int fault = convert_value(conversion->base, value, result);

	if (fault || !domain_has_constraints(conversion->domain))
		return fault;
	call.result = *result;
	return run_call(call_domain, &call);
}

int
convert_null(const Conversion *conversion)
{
	InputCall call = {.conversion = conversion, .isnull = true};

	if (conversion->domain == NULL || !domain_has_constraints(conversion->domain))
		return 0;
	return run_call(call_domain, &call);
}

/* ---------------------------------------------------------------- the choice */

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
choose(const Conversion *conversion)
{
	Oid type = conversion->type;

	if (conversion->encoding == ENCODING_BASE64)
		return convert_base64;
	if (conversion->encoding == ENCODING_HEX)
		return convert_hex;
	if (conversion->encoding >= ENCODING_EPOCH_S)
		return convert_epoch;
	for (size_t i = 0; i < lengthof(fast_ways); i++)
		if (fast_ways[i].type == type)
			return fast_ways[i].convert;
	if (conversion->labels)
		return convert_enum;
	return conversion->nested ? convert_nested : convert_scalar;
}

static void
init_domain(Conversion *conversion, Oid type)
{
	int32 typmod = conversion->typmod;
	Oid base = getBaseTypeAndTypmod(type, &typmod);

	conversion->domain = domain_create(type);
	conversion->base = palloc(sizeof(Conversion));
	convert_init(conversion->base, base, typmod, conversion->encoding, conversion->alloc,
				 conversion->arena);
	conversion->convert = convert_domain;
}

static void
init_plain(Conversion *conversion, Oid type)
{
	Oid input;

	conversion->scratch =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg value", ALLOCSET_SMALL_SIZES);
	if (type_is_rowtype(type) || OidIsValid(get_element_type(type)))
		conversion->nested = nested_create(type, conversion->typmod);
	else
		conversion->shape = shape_create(type, conversion->typmod);
	rounding_init(&conversion->rounding, type, conversion->typmod, CurrentMemoryContext);
	if (type_is_enum(type))
		conversion->labels = labels_create(type);
	getTypeInputInfo(type, &input, &conversion->input_param);
	fmgr_info_cxt(input, &conversion->input, CurrentMemoryContext);
	conversion->convert = choose(conversion);
}

void
convert_init(Conversion *conversion, Oid type, int32 typmod, ConvertEncoding encoding,
			 ConvertAlloc alloc, void *arena)
{
	memset(conversion, 0, sizeof(Conversion));
	conversion->type = type;
	conversion->typmod = typmod;
	conversion->encoding = encoding;
	conversion->alloc = alloc;
	conversion->arena = arena;
	get_typlenbyval(type, &conversion->length, &conversion->by_value);
	if (get_typtype(type) == TYPTYPE_DOMAIN)
		init_domain(conversion, type);
	else
		init_plain(conversion, type);
}
