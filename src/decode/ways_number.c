/*
 * ways_number.c - JSON values to numbers and booleans.
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "number.h"
#include "ways.h"

#define NUMERIC_WEIGHT_LIMIT 131072
#define NUMERIC_SCALE_LIMIT 16383
#define NUMERIC_EXPONENT_LIMIT (PG_INT32_MAX / 2)

/* What numeric's input would raise an error for, zeros of a huge exponent included. */
static bool
exceeds_numeric(const NumberShape *shape)
{
	return (!shape->is_zero && shape->highest >= NUMERIC_WEIGHT_LIMIT) ||
		   shape->scale > NUMERIC_SCALE_LIMIT || shape->exponent >= NUMERIC_EXPONENT_LIMIT;
}

/* A number as numeric prints it: what jsonb would hand to an input function. */
int
ways_number_text(const JsonValue *value, char **text)
{
	NumberShape shape;
	Datum number;

	if (!number_shape(value->text, value->length, &shape))
		return BAD_TEXT;
	if (exceeds_numeric(&shape))
		return OUT_OF_RANGE;
	*text = pnstrdup(value->text, value->length);
	number = DirectFunctionCall3(numeric_in, CStringGetDatum(*text), ObjectIdGetDatum(InvalidOid),
								 Int32GetDatum(-1));
	*text = DatumGetCString(DirectFunctionCall1(numeric_out, number));
	return 0;
}

/* A number with an exponent is what numeric prints of it: 1e2 is 100, 1.0 stays 1.0. */
static int
integer_of(const JsonValue *value, int64 *found)
{
	Text text = trimmed_text(value);
	char *printed;
	int fault;

	if (is_composite(value))
		return BAD_TEXT;
	if (value->kind == JSON_NUMBER &&
		(memchr(text.at, 'e', text.length) != NULL || memchr(text.at, 'E', text.length) != NULL))
	{
		fault = ways_number_text(value, &printed);
		if (fault)
			return fault;
		text.at = printed;
		text.length = strlen(printed);
	}
	switch (number_to_int64(text.at, text.length, found))
	{
		case NUMBER_SYNTAX:
			return BAD_TEXT;
		case NUMBER_RANGE:
			return OUT_OF_RANGE;
		case NUMBER_OK:
			break;
	}
	return 0;
}

int
convert_int64(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	int64 found;
	int fault = integer_of(value, &found);

	*result = fault ? 0 : Int64GetDatum(found);
	return fault;
}

int
convert_int32(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	int64 found;
	int fault = integer_of(value, &found);

	if (fault == 0 && (found < PG_INT32_MIN || found > PG_INT32_MAX))
		fault = OUT_OF_RANGE;
	*result = fault ? 0 : Int32GetDatum((int32) found);
	return fault;
}

int
convert_int16(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	int64 found;
	int fault = integer_of(value, &found);

	if (fault == 0 && (found < PG_INT16_MIN || found > PG_INT16_MAX))
		fault = OUT_OF_RANGE;
	*result = fault ? 0 : Int16GetDatum((int16) found);
	return fault;
}

/* nan, inf and infinity with an optional sign, in any case. */
static bool
is_special_float(Text text, double *found)
{
	bool negative = text.length > 0 && *text.at == '-';

	if (text.length > 0 && (*text.at == '-' || *text.at == '+'))
	{
		text.at++;
		text.length--;
	}
	if ((text.length == 3 && pg_strncasecmp(text.at, "inf", 3) == 0) ||
		(text.length == 8 && pg_strncasecmp(text.at, "infinity", 8) == 0))
		*found = negative ? -INFINITY : INFINITY;
	else if (text.length == 3 && pg_strncasecmp(text.at, "nan", 3) == 0)
		*found = NAN;
	else
		return false;
	return true;
}

/* The nearest double; an underflow to zero is out of range as in float8's input. */
static int
float_of(const JsonValue *value, bool single, double *found)
{
	Text text = trimmed_text(value);
	NumberShape shape;
	char *digits;

	if (is_composite(value))
		return BAD_TEXT;
	if (value->kind == JSON_STRING && is_special_float(text, found))
		return 0;
	if (!number_shape(text.at, text.length, &shape))
		return BAD_TEXT;
	digits = pnstrdup(text.at, text.length);
	*found = single ? (double) strtof(digits, NULL) : strtod(digits, NULL);
	pfree(digits);
	if (isinf(*found) || (*found == 0 && !shape.is_zero))
		return OUT_OF_RANGE;
	return 0;
}

int
convert_float8(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	double found;
	int fault = float_of(value, false, &found);

	*result = fault ? 0 : Float8GetDatum(found);
	return fault;
}

int
convert_float4(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	double found;
	int fault = float_of(value, true, &found);

	*result = fault ? 0 : Float4GetDatum((float4) found);
	return fault;
}

/* Precision and scale of numeric(p,s), as numeric's typmod packs them. */
static bool
fits_numeric(const NumberShape *shape, int32 typmod)
{
	int packed = typmod - VARHDRSZ;
	int precision = (packed >> 16) & 0xffff;
	int scale = ((packed & 0x7ff) ^ 1024) - 1024;

	if (typmod < (int32) VARHDRSZ || shape->is_zero)
		return true;
	return shape->lowest >= -scale && shape->highest < precision - scale;
}

int
convert_numeric(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	Text text = trimmed_text(value);
	NumberShape shape;
	double unused;

	if (is_composite(value))
		return BAD_TEXT;
	if (value->kind == JSON_STRING && is_special_float(text, &unused))
		return OUT_OF_RANGE;
	if (!number_shape(text.at, text.length, &shape))
		return BAD_TEXT;
	if (exceeds_numeric(&shape) || !fits_numeric(&shape, conversion->typmod))
		return OUT_OF_RANGE;
	*result = DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(text.at, text.length)),
								  ObjectIdGetDatum(InvalidOid), Int32GetDatum(conversion->typmod));
	return 0;
}

int
convert_bool(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	Text text = trimmed_text(value);
	char *printed;
	bool found;
	int fault = 0;

	if (is_composite(value))
		return BAD_TEXT;
	if (value->kind == JSON_NUMBER)
	{
		fault = ways_number_text(value, &printed);
		if (fault)
			return fault;
		text.at = printed;
		text.length = strlen(printed);
	}
	if (!parse_bool_with_len(text.at, text.length, &found))
		return BAD_TEXT;
	*result = BoolGetDatum(found);
	return 0;
}
