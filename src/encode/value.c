/*
 * value.c - values to JSON: the other way of decode/convert.c.
 *
 * Numbers, booleans and jsonb are JSON as they are, arrays and composite types as to_jsonb makes them,
 * everything else is a string: times as ISO 8601 in UTC or by their encoding, other types as their
 * output function prints them.  Who calls it: tree.c and row.c.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "common/shortest_dec.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "decode/time.h"
#include "encode/value.h"
#include "integer.h"
#include "streamagg.h"

/* ---------------------------------------------------------------- numbers and words */

static bool
write_bool(ValueWriter *writer, Datum value, StringInfo text)
{
	appendStringInfoString(text, DatumGetBool(value) ? "true" : "false");
	return true;
}

static bool
write_integer(ValueWriter *writer, Datum value, StringInfo text)
{
	appendStringInfo(text, INT64_FORMAT, integer_of(value, writer->length));
	return true;
}

/* The shortest digits that are read back as the same number. */
static bool
write_float(ValueWriter *writer, Datum value, StringInfo text)
{
	char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (writer->type == FLOAT4OID)
		float_to_shortest_decimal_buf(DatumGetFloat4(value), digits);
	else
		double_to_shortest_decimal_buf(DatumGetFloat8(value), digits);
	appendStringInfoString(text, digits);
	return isfinite(writer->type == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value));
}

static bool
write_numeric(ValueWriter *writer, Datum value, StringInfo text)
{
	Numeric number = DatumGetNumeric(value);

	appendStringInfoString(
		text, DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number))));
	return !numeric_is_nan(number) && !numeric_is_inf(number);
}

static bool
write_text(ValueWriter *writer, Datum value, StringInfo text)
{
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

	appendBinaryStringInfo(text, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	return writer->type == JSONOID;
}

static bool
write_jsonb(ValueWriter *writer, Datum value, StringInfo text)
{
	Jsonb *document = DatumGetJsonbP(value);

	(void) JsonbToCString(text, &document->root, VARSIZE(document));
	return true;
}

/* ---------------------------------------------------------------- times and bytes */

static bool
write_time(ValueWriter *writer, Datum value, StringInfo text)
{
	char printed[MAXDATELEN + 1];
	int utc = 0;

	JsonEncodeDateTime(printed, value, writer->type, writer->type == TIMESTAMPTZOID ? &utc : NULL);
	appendStringInfoString(text, printed);
	return false;
}

/* Seconds or milliseconds with as many digits behind the point as it takes, or microseconds. */
static bool
write_epoch(ValueWriter *writer, Datum value, StringInfo text)
{
	uint64 unit = writer->encoding == ENCODING_EPOCH_S	  ? USECS_PER_SEC
				  : writer->encoding == ENCODING_EPOCH_MS ? 1000
														  : 1;
	int64 time = DatumGetTimestampTz(value);
	uint64 size;

	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("an infinite time cannot be written as epoch")));
	time -= TIME_UNIX_EPOCH;
	size = time < 0 ? -(uint64) time : (uint64) time;
	appendStringInfo(text, "%s" UINT64_FORMAT, time < 0 ? "-" : "", size / unit);
	if (size % unit == 0)
		return true;
	appendStringInfo(text, ".%0*d", unit == 1000 ? 3 : 6, (int) (size % unit));
	while (text->data[text->len - 1] == '0')
		text->data[--text->len] = '\0';
	return true;
}

static bool
write_bytes(ValueWriter *writer, Datum value, StringInfo text)
{
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);
	int length = VARSIZE_ANY_EXHDR(bytes);

	if (writer->encoding == ENCODING_BASE64)
	{
		enlargeStringInfo(text, pg_b64_enc_len(length) + 1);
		text->len += pg_b64_encode((const void *) VARDATA_ANY(bytes), length,
								   text->data + text->len, pg_b64_enc_len(length));
	}
	else
	{
		if (writer->encoding == ENCODING_NONE)
			appendStringInfoString(text, "\\x");
		enlargeStringInfo(text, 2 * length + 1);
		text->len += hex_encode(VARDATA_ANY(bytes), length, text->data + text->len);
	}
	text->data[text->len] = '\0';
	return false;
}

/* ---------------------------------------------------------------- the general ways */

static bool
write_nested(ValueWriter *writer, Datum value, StringInfo text)
{
	Jsonb *document = DatumGetJsonbP(FunctionCall1(&writer->output, value));

	(void) JsonbToCString(text, &document->root, VARSIZE(document));
	return true;
}

static bool
write_printed(ValueWriter *writer, Datum value, StringInfo text)
{
	appendStringInfoString(text, OutputFunctionCall(&writer->output, value));
	return false;
}

static const struct
{
	Oid type;
	ValueWrite write;
} ways[] = {
	{BOOLOID, write_bool},	  {INT2OID, write_integer},	   {INT4OID, write_integer},
	{INT8OID, write_integer}, {FLOAT4OID, write_float},	   {FLOAT8OID, write_float},
	{TEXTOID, write_text},	  {VARCHAROID, write_text},	   {JSONOID, write_text},
	{JSONBOID, write_jsonb},  {NUMERICOID, write_numeric}, {DATEOID, write_time},
	{BYTEAOID, write_bytes},  {TIMESTAMPOID, write_time},  {TIMESTAMPTZOID, write_time},
};

/* to_jsonb learns from its expression what it is called with. */
static void
init_nested(ValueWriter *writer)
{
	Const *argument = makeNullConst(writer->type, -1, InvalidOid);

	fmgr_info(F_TO_JSONB, &writer->output);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &writer->output);
	writer->write = write_nested;
}

void
value_writer_init(ValueWriter *writer, Oid type, ConvertEncoding encoding)
{
	Oid output;
	bool is_varlena;

	writer->type = getBaseType(type);
	writer->length = get_typlen(writer->type);
	writer->encoding = encoding;
	writer->write = NULL;
	for (size_t i = 0; i < lengthof(ways); i++)
		if (ways[i].type == writer->type)
			writer->write = ways[i].write;
	if (encoding >= ENCODING_EPOCH_S && encoding <= ENCODING_EPOCH_US)
		writer->write = write_epoch;
	if (writer->write)
		return;
	if (type_is_rowtype(writer->type) || OidIsValid(get_element_type(writer->type)))
	{
		init_nested(writer);
		return;
	}
	getTypeOutputInfo(writer->type, &output, &is_varlena);
	fmgr_info(output, &writer->output);
	writer->write = write_printed;
}

void
value_write_json(ValueWriter *writer, Datum value, StringInfo json)
{
	StringInfoData text;

	initStringInfo(&text);
	if (writer->write(writer, value, &text))
		appendBinaryStringInfo(json, text.data, text.len);
	else
		escape_json(json, text.data);
}

void
value_write_text(ValueWriter *writer, Datum value, StringInfo text)
{
	(void) writer->write(writer, value, text);
}
