/*
 * json_fuzz_test.c: fuzz target of the JSON reader, src/decode/json.h.
 *
 * The input is a message.  json_read and json_verdict, two readers without common code, must judge
 * it alike; what json_read hands out must be what the plainest search finds (json_pick.c), and of
 * the form that json.h promises.  Here its corpus is replayed, from the top of the tree:
 *   gcc -Wall -Wextra -Werror -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
 *       -iquote src/decode test/fuzz/json_fuzz_test.c test/fuzz/json_pick.c test/fuzz/replay.c \
 *       src/decode/json_verdict.c src/decode/json.cc src/decode/json_walk.cc \
 *       -lsimdjson -lstdc++ -o json_fuzz && exec ./json_fuzz test/fuzz/corpus/json*.txt
 * test/fuzz/fuzz json SECONDS looks for new inputs.
 */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "json_pick.h"
#include "json_verdict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_STEPS 5

/* Nested and overlapping; keys of no byte, of more than one, and around 8 and 16 bytes. */
static const char *const paths[][MAX_STEPS] = {
	{NULL},
	{"a"},
	{"b"},
	{""},
	{"u"},
	{"u", "ip"},
	{"u", "b", "c", "d"},
	{"u", "b"},
	{"", ""},
	{"\xC3\xA9"},
	{"eight_ch"},
	{"nine_char"},
	{"exactly_16_bytes"},
	{"a_key_of_more_bytes_than_16"},
	{"a_key_of_more_butes_than_16", "a"},
	{"a\"\\\n"},
};

static int
path_length(size_t path)
{
	int nsteps = 0;

	while (nsteps < MAX_STEPS && paths[path][nsteps] != NULL)
		nsteps++;
	return nsteps;
}

/* A reader a message: what one message leaves behind must not hide what the next one does. */
static JsonReader *
create_reader(void)
{
	JsonReader *reader = json_reader_create();

	for (size_t i = 0; i < COUNT(paths); i++)
		REQUIRE(json_reader_add_path(reader, paths[i], path_length(i)) == (int) i);
	return reader;
}

/* Well-formed UTF-8 without NUL: what its code point would be written as is what is there. */
static void
check_utf8(const unsigned char *p, size_t length)
{
	const unsigned char *end = p + length;

	while (p < end)
	{
		int following = *p < 0x80 ? 0 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
		static const int lowest[] = {1, 0x80, 0x800, 0x10000};
		int code = *p & (following == 0 ? 0x7F : 0x3F >> following);

		REQUIRE(*p < 0x80 || (*p >= 0xC0 && *p < 0xF8));
		REQUIRE(end - p > following);
		for (int i = 1; i <= following; i++)
		{
			REQUIRE((p[i] & 0xC0) == 0x80);
			code = code * 64 + (p[i] & 0x3F);
		}
		REQUIRE(code >= lowest[following] && code <= 0x10FFFF);
		REQUIRE(code < 0xD800 || code > 0xDFFF);
		p += following + 1;
	}
}

static size_t
count_digits(const char *at, const char *end)
{
	size_t count = 0;

	while (at + count < end && at[count] >= '0' && at[count] <= '9')
		count++;
	return count;
}

/* RFC 8259, section 6. */
static void
check_number(const char *at, size_t length)
{
	const char *end = at + length;
	size_t digits;

	at += at < end && *at == '-';
	digits = count_digits(at, end);
	REQUIRE(digits == 1 || (digits > 1 && *at != '0'));
	at += digits;
	if (at < end && *at == '.')
	{
		digits = count_digits(at + 1, end);
		REQUIRE(digits > 0);
		at += 1 + digits;
	}
	if (at < end && (*at | 0x20) == 'e')
	{
		at += at + 1 < end && (at[1] == '-' || at[1] == '+') ? 2 : 1;
		digits = count_digits(at, end);
		REQUIRE(digits > 0);
		at += digits;
	}
	REQUIRE(at == end);
}

static void
check_form(const JsonValue *value)
{
	switch (value->kind)
	{
		case JSON_MISSING:
		case JSON_NULL:
			REQUIRE(value->text == NULL && value->length == 0);
			break;
		case JSON_TRUE:
			REQUIRE(value->length == 4 && memcmp(value->text, "true", 4) == 0);
			break;
		case JSON_FALSE:
			REQUIRE(value->length == 5 && memcmp(value->text, "false", 5) == 0);
			break;
		case JSON_NUMBER:
			check_number(value->text, value->length);
			break;
		case JSON_STRING:
			check_utf8((const unsigned char *) value->text, value->length);
			break;
		case JSON_OBJECT:
			REQUIRE(json_verdict(value->text, value->length) == JSON_OK);
			break;
		case JSON_ARRAY:
			REQUIRE(json_verdict(value->text, value->length) == JSON_NOT_OBJECT);
			break;
	}
}

static void
check_same(const JsonValue *found, const JsonValue *expected)
{
	REQUIRE(found->kind == expected->kind);
	REQUIRE(found->length == expected->length);
	REQUIRE((found->text == NULL) == (expected->text == NULL));
	REQUIRE(found->length == 0 || memcmp(found->text, expected->text, found->length) == 0);
}

static void
check_values(const JsonValue *values, const char *text, size_t length)
{
	size_t mark = length >= JSON_BOM_LENGTH && memcmp(text, JSON_BOM, JSON_BOM_LENGTH) == 0
					  ? JSON_BOM_LENGTH
					  : 0;

	for (size_t i = 0; i < COUNT(paths); i++)
	{
		JsonValue expected = json_pick(text + mark, length - mark, paths[i], path_length(i));

		check_form(&values[i]);
		check_same(&values[i], &expected);
		if (expected.kind == JSON_STRING)
			free((char *) expected.text);
	}
}

/* The reader's verdict, the same on a second reading, with sound values. */
static JsonVerdict
check_message(const char *text, size_t length)
{
	JsonReader *reader = create_reader();
	JsonVerdict verdict = json_verdict(text, length);
	JsonValue values[COUNT(paths)];

	for (int reading = 0; reading < 2; reading++)
	{
		REQUIRE(json_read(reader, text, length, values) == verdict);
		if (verdict == JSON_OK)
			check_values(values, text, length);
		else
			for (size_t i = 0; i < COUNT(paths); i++)
				REQUIRE(values[i].kind == JSON_MISSING && values[i].text == NULL);
	}
	json_reader_free(reader);
	return verdict;
}

/* Memory of exactly this size, so that a sanitizer sees a byte too many. */
static char *
copy_behind_blanks(const uint8_t *data, size_t size, size_t blanks)
{
	char *copy = malloc(size + blanks > 0 ? size + blanks : 1);

	memset(copy, ' ', blanks);
	if (size > 0)
		memcpy(copy + blanks, data, size);
	return copy;
}

/*
 * Blanks before a message change nothing, but where simdjson's blocks of 64 bytes end; before
 * a byte order mark they do.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t blanks = 1 + size * 31 % 127;
	char *plain = copy_behind_blanks(data, size, 0);
	char *shifted = copy_behind_blanks(data, size, blanks);
	JsonVerdict verdict = check_message(plain, size);
	JsonVerdict later = check_message(shifted, size + blanks);

	if (size < JSON_BOM_LENGTH || memcmp(data, JSON_BOM, JSON_BOM_LENGTH) != 0)
		REQUIRE(later == verdict);
	free(plain);
	free(shifted);
	return 0;
}
