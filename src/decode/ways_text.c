/*
 * ways_text.c - JSON values to text, jsonb, uuid, inet and times.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "ways.h"

/* A text datum with a short header where it fits; no terminator. */
static Datum
make_text(const Conversion *conversion, const char *text, size_t length)
{
	char *made;

	if (length + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
	{
		made = conversion->alloc(conversion->arena, length + VARHDRSZ_SHORT);
		SET_VARSIZE_SHORT(made, length + VARHDRSZ_SHORT);
		memcpy(made + VARHDRSZ_SHORT, text, length);
	}
	else
	{
		made = conversion->alloc(conversion->arena, length + VARHDRSZ);
		SET_VARSIZE(made, length + VARHDRSZ);
		memcpy(made + VARHDRSZ, text, length);
	}
	return PointerGetDatum(made);
}

static int
print_composite(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	char *printed;
	int fault = ways_composite_text(value, &printed);

	if (fault == 0)
		*result = PointerGetDatum(cstring_to_text(printed));
	return fault;
}

int
convert_text(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	if (is_composite(value))
		return ways_in_scratch(print_composite, conversion, value, result);
	*result = make_text(conversion, value->text, value->length);
	return 0;
}

/* varchar(n): what is longer by blanks only is cut, as varchar's input does. */
int
convert_varchar(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	int limit = conversion->typmod - VARHDRSZ;
	size_t fits;
	int fault = convert_text(conversion, value, result);
	char *text;
	size_t length;

	if (fault || conversion->typmod < (int32) VARHDRSZ)
		return fault;
	text = VARDATA_ANY(DatumGetPointer(*result));
	length = VARSIZE_ANY_EXHDR(DatumGetPointer(*result));
	fits = pg_mbcharcliplen(text, length, limit);
	for (size_t i = fits; i < length; i++)
		if (text[i] != ' ')
			return ERRCODE_STRING_DATA_RIGHT_TRUNCATION;
	if (fits < length)
		*result = make_text(conversion, text, fits);
	return 0;
}

static int
read_jsonb(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	JsonbValue scalar;
	char *printed;
	int fault;

	if (is_composite(value))
		return ways_jsonb_of_composite(value, result);
	switch (value->kind)
	{
		case JSON_NUMBER:
			fault = ways_number_text(value, &printed);
			if (fault)
				return fault;
			scalar.type = jbvNumeric;
			scalar.val.numeric = DatumGetNumeric(
				DirectFunctionCall3(numeric_in, CStringGetDatum(printed),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
			break;
		case JSON_STRING:
			if (value->length > JENTRY_OFFLENMASK) /* jsonb_in's limit, 256 MB */
				return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
			scalar.type = jbvString;
			scalar.val.string.len = value->length;
			scalar.val.string.val = (char *) value->text;
			break;
		default:
			scalar.type = jbvBool;
			scalar.val.boolean = value->kind == JSON_TRUE;
	}
	*result = JsonbPGetDatum(JsonbValueToJsonb(&scalar));
	return 0;
}

int
convert_jsonb(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	return ways_in_scratch(read_jsonb, conversion, value, result);
}

/* 8-4-4-4-12 digits with hyphens between, as nearly all are written; false for any other form. */
static bool
parse_usual_uuid(const char *text, size_t length, unsigned char *found)
{
	static const uint8 places[UUID_LEN] = {0,  2,  4,  6,  9,  11, 14, 16,
										   19, 21, 24, 26, 28, 30, 32, 34};
	int wrong = 0;

	if (length != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
		return false;
	for (int i = 0; i < UUID_LEN; i++)
	{
		int high = hex_digit(text[places[i]]);
		int low = hex_digit(text[places[i] + 1]);

		wrong |= high | low;
		found[i] = (unsigned char) ((unsigned int) high << 4 | (unsigned int) low);
	}
	return wrong >= 0;
}

/* As uuid's input: braces, and hyphens behind any group of four digits, are optional. */
static bool
parse_uuid(const char *at, const char *end, unsigned char *found)
{
	if (end - at >= 2 && *at == '{' && end[-1] == '}')
	{
		at++;
		end--;
	}
	for (int i = 0; i < UUID_LEN; i++)
	{
		int high;
		int low;

		if (end - at < 2)
			return false;
		high = hex_digit(at[0]);
		low = hex_digit(at[1]);
		if (high < 0 || low < 0)
			return false;
		found[i] = (unsigned char) (high << 4 | low);
		at += 2;
		if (i % 2 == 1 && i < UUID_LEN - 1 && at < end && *at == '-')
			at++;
	}
	return at == end;
}

int
convert_uuid(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	unsigned char found[UUID_LEN];
	pg_uuid_t *made;

	if (value->kind != JSON_STRING)
		return BAD_TEXT;
	if (!parse_usual_uuid(value->text, value->length, found) &&
		!parse_uuid(value->text, value->text + value->length, found))
		return BAD_TEXT;
	made = conversion->alloc(conversion->arena, sizeof(pg_uuid_t));
	memcpy(made->data, found, UUID_LEN);
	*result = UUIDPGetDatum(made);
	return 0;
}

int
convert_inet(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	char text[64];
	inet *made;
	int bits;

	if (value->kind != JSON_STRING || value->length >= sizeof(text))
		return BAD_TEXT;
	memcpy(text, value->text, value->length);
	text[value->length] = '\0';
	made = conversion->alloc(conversion->arena, sizeof(inet));
	memset(made, 0, sizeof(inet));
	ip_family(made) = strchr(text, ':') ? PGSQL_AF_INET6 : PGSQL_AF_INET;
	bits = pg_inet_net_pton(ip_family(made), text, ip_addr(made), -1);
	if (bits < 0 || bits > ip_maxbits(made))
		return BAD_TEXT;
	ip_bits(made) = bits;
	SET_INET_VARSIZE(made);
	*result = InetPGetDatum(made);
	return 0;
}

/* timestamptz(p): what is finer than p digits would be rounded. */
static int
judge_time(const Conversion *conversion, TimestampTz found)
{
	int64 unit = 1;

	if (conversion->typmod < 0 || TIMESTAMP_NOT_FINITE(found))
		return 0;
	for (int digits = conversion->typmod; digits < MAX_TIMESTAMP_PRECISION; digits++)
		unit *= 10;
	return found % unit == 0 ? 0 : ERRCODE_DATETIME_FIELD_OVERFLOW;
}

int
convert_epoch(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	TimestampTz found = 0;
	int fault;

	if (value->kind != JSON_NUMBER && value->kind != JSON_STRING)
		return BAD_TEXT;
	fault = time_parse_epoch(value->text, value->length, conversion->encoding, &found);
	*result = TimestampTzGetDatum(found);
	return fault ? fault : judge_time(conversion, found);
}

int
convert_timestamptz(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	TimestampTz found = 0;
	int fault;

	if (is_composite(value))
		return ERRCODE_INVALID_DATETIME_FORMAT;
	fault = time_parse_iso(value->text, value->length, &found);
	*result = TimestampTzGetDatum(found);
	return fault ? fault : judge_time(conversion, found);
}

int
convert_date(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	DateADT found = 0;
	int fault;

	if (is_composite(value))
		return ERRCODE_INVALID_DATETIME_FORMAT;
	fault = time_parse_date(value->text, value->length, &found);
	*result = DateADTGetDatum(found);
	return fault;
}
