/*
 * ways_bytes.c - JSON strings in base64 or hex to bytea.
 *
 * Both are strict, so that what is not the encoding never passes for it: no blanks or line breaks,
 * no prefix; base64 is RFC 4648's with its padding, the unused bits of the last digit 0.
 */
#include "postgres.h"

#include "compat.h"
#include "ways.h"

const int8 ways_hex_digits[256] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	0,	1,	2,	3,	4,	5,	6,	7,	8,	9,	-1, -1, -1, -1, -1, -1, -1, 10, 11, 12, 13, 14, 15, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

static char *
make_bytes(const Conversion *conversion, size_t length, Datum *result)
{
	char *made = conversion->alloc(conversion->arena, length + VARHDRSZ);

	SET_VARSIZE(made, length + VARHDRSZ);
	*result = PointerGetDatum(made);
	return made + VARHDRSZ;
}

int
convert_hex(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	char *at;

	if (value->kind != JSON_STRING || value->length % 2 != 0)
		return BAD_TEXT;
	at = make_bytes(conversion, value->length / 2, result);
	for (uint32 i = 0; i < value->length; i += 2)
	{
		int high = hex_digit(value->text[i]);
		int low = hex_digit(value->text[i + 1]);

		if (high < 0 || low < 0)
			return BAD_TEXT;
		*at++ = (char) (high << 4 | low);
	}
	return 0;
}

static inline int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, of which the last unused ones are padding, to 3 - unused bytes. */
static bool
decode_group(const char *digits, int unused, char *bytes)
{
	uint32 bits = 0;

	for (int i = 0; i < 4 - unused; i++)
	{
		int digit = base64_digit(digits[i]);

		if (digit < 0)
			return false;
		bits |= (uint32) digit << (18 - 6 * i);
	}
	for (int i = 0; i < 3 - unused; i++)
		bytes[i] = (char) (bits >> (16 - 8 * i));
	return (bits & ((1u << (8 * unused)) - 1)) == 0;
}

int
convert_base64(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	const char *text = value->text;
	uint32 length = value->length;
	int padding = 0;
	char *at;

	if (value->kind != JSON_STRING || length % 4 != 0)
		return BAD_TEXT;
	while (padding < 2 && length > 0 && text[length - 1 - padding] == '=')
		padding++;
	at = make_bytes(conversion, (size_t) length / 4 * 3 - padding, result);
	for (uint32 i = 0; i < length; i += 4, at += 3)
		if (!decode_group(text + i, i + 4 == length ? padding : 0, at))
			return BAD_TEXT;
	return 0;
}
