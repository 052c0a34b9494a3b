/*
 * ways.h - the ways of conversion that convert.c chooses from; for the decode/ files only.
 */
#ifndef STREAMAGG_WAYS_H
#define STREAMAGG_WAYS_H

#include "convert.h"
#include "time.h"

#define BAD_TEXT ERRCODE_INVALID_TEXT_REPRESENTATION
#define OUT_OF_RANGE ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE

typedef struct Text
{
	const char *at;
	size_t length;
} Text;

static inline bool
is_composite(const JsonValue *value)
{
	return value->kind == JSON_OBJECT || value->kind == JSON_ARRAY;
}

/* The value's text without blanks around it. */
static inline Text
trimmed_text(const JsonValue *value)
{
	Text text = {value->text, value->length};

	for (; text.length > 0 && (*text.at == ' ' || (*text.at >= '\t' && *text.at <= '\r'));
		 text.length--)
		text.at++;
	while (text.length > 0 &&
		   (text.at[text.length - 1] == ' ' ||
			(text.at[text.length - 1] >= '\t' && text.at[text.length - 1] <= '\r')))
		text.length--;
	return text;
}

/* Of each byte the value as a hexadecimal digit, -1 for no digit: random digits defeat branches. */
extern const int8 ways_hex_digits[256];

static inline int
hex_digit(char c)
{
	return ways_hex_digits[(unsigned char) c];
}

/* A number as numeric prints it: what jsonb would hand to an input function.  Palloc'd. */
extern int ways_number_text(const JsonValue *value, char **text);

/* An object or array as jsonb, and as the text that jsonb prints.  Palloc'd. */
extern int ways_jsonb_of_composite(const JsonValue *value, Datum *result);
extern int ways_composite_text(const JsonValue *value, char **text);

/* Runs a way that leaves its garbage and its result in the current context. */
extern int ways_in_scratch(ConvertFunction way, const Conversion *conversion,
						   const JsonValue *value, Datum *result);

extern int convert_int64(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_int32(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_int16(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_float8(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_float4(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_numeric(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_bool(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_text(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_varchar(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_jsonb(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_uuid(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_inet(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_epoch(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_timestamptz(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_date(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_hex(const Conversion *conversion, const JsonValue *value, Datum *result);
extern int convert_base64(const Conversion *conversion, const JsonValue *value, Datum *result);

#endif
