/*
 * value_fuzz_test.c: fuzz target of src/decode's readers of numbers, times and paths.
 *
 * The input is a text, read in every way; value_reference.c must read it alike.  Texts have no NUL:
 * the JSON reader lets none through.  Here the corpus is replayed, from the top of the tree:
 *   gcc -Wall -Wextra -Werror -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
 *       -iquote src/decode -isystem "$(pg_config --includedir-server)" \
 *       test/fuzz/value_fuzz_test.c test/fuzz/value_reference.c test/fuzz/value_shim.c \
 *       test/fuzz/replay.c src/decode/number.c src/decode/time.c src/decode/path.c \
 *       -o value_fuzz && exec ./value_fuzz test/fuzz/corpus/value*.txt
 * test/fuzz/fuzz value SECONDS looks for new inputs.
 */
#include "postgres.h"

#include <ctype.h>
#include <regex.h>

#include "lib/stringinfo.h"

#include "fuzz.h"
#include "number.h"
#include "path.h"
#include "time.h"
#include "value_reference.h"
#include "value_shim.h"

/* The same text, once as C strings are, once with nothing behind its end. */
typedef struct Input
{
	const char *string;
	char *exact;
	size_t length;
} Input;

static void
check_shape(const Input *input)
{
	NumberShape found;
	PlainShape plain;
	bool is_number = number_shape(input->exact, input->length, &found);

	REQUIRE(is_number == plain_shape(input->string, &plain));
	if (!is_number)
		return;
	REQUIRE(found.negative == plain.negative);
	REQUIRE(found.is_zero == plain.is_zero);
	REQUIRE(found.highest == plain.highest);
	REQUIRE(found.lowest == plain.lowest);
	REQUIRE(found.scale == plain.scale);
	REQUIRE(found.exponent == plain.exponent);
}

static void
check_result(NumberResult result, int64 found, Reading reading, int64 plain)
{
	REQUIRE((result == NUMBER_SYNTAX) == (reading == READ_NO_FORM));
	REQUIRE((result == NUMBER_RANGE) == (reading == READ_OUT_OF_RANGE));
	REQUIRE(result != NUMBER_OK || found == plain);
}

static void
check_integers(const Input *input)
{
	int64 found = 0;
	int64 plain = 0;
	NumberResult result = number_to_int64(input->exact, input->length, &found);
	Reading reading = plain_integer(input->string, &plain);

	check_result(result, found, reading, plain);
	for (int shift = 0; shift <= 6; shift += 3)
	{
		result = number_scaled(input->exact, input->length, shift, &found);
		reading = plain_scaled(input->string, shift, &plain);
		check_result(result, found, reading, plain);
	}
}

/* 0, or the SQLSTATE that a moment in microseconds deserves. */
static int
range_fault(int64 moment)
{
	return IS_VALID_TIMESTAMP(moment) ? 0 : ERRCODE_DATETIME_FIELD_OVERFLOW;
}

static int
time_fault(Reading reading)
{
	return reading == READ_NO_FORM		  ? ERRCODE_INVALID_DATETIME_FORMAT
		   : reading == READ_OUT_OF_RANGE ? ERRCODE_DATETIME_FIELD_OVERFLOW
										  : 0;
}

static bool
is_infinity(const char *string)
{
	static regex_t form;

	if (form.re_nsub == 0)
		REQUIRE(regcomp(&form, "^[ \t\n\v\f\r]*(-?)infinity[ \t\n\v\f\r]*$",
						REG_EXTENDED | REG_ICASE) == 0);
	return regexec(&form, string, 0, NULL, 0) == 0;
}

static void
check_times(const Input *input)
{
	TimestampTz moment = 0;
	DateADT date = 0;
	int64 plain_moment = 0;
	int32 days = 0;
	int fault = time_parse_iso(input->exact, input->length, &moment);
	int date_fault = time_parse_date(input->exact, input->length, &date);
	int expected = time_fault(plain_time(input->string, &plain_moment, &days));

	if (is_infinity(input->string))
	{
		bool negative = strchr(input->string, '-') != NULL;

		REQUIRE(fault == 0 && date_fault == 0 && expected != 0);
		REQUIRE(moment == (negative ? DT_NOBEGIN : DT_NOEND));
		REQUIRE(date == (negative ? DATEVAL_NOBEGIN : DATEVAL_NOEND));
		return;
	}
	REQUIRE(date_fault == expected);
	REQUIRE(date_fault != 0 || date == days);
	if (expected == 0)
		expected = range_fault(plain_moment);
	REQUIRE(fault == expected);
	REQUIRE(fault != 0 || moment == plain_moment);
}

static int
expected_epoch(const char *trimmed, int shift, int64 *moment)
{
	static const int64 days_1970_to_2000 = 10957;

	switch (plain_scaled(trimmed, shift, moment))
	{
		case READ_NO_FORM:
			return ERRCODE_INVALID_TEXT_REPRESENTATION;
		case READ_OUT_OF_RANGE:
			return ERRCODE_DATETIME_FIELD_OVERFLOW;
		case READ_VALUE:
			break;
	}
	if (*moment < MIN_TIMESTAMP) /* below the range already, and may not be able to go lower */
		return ERRCODE_DATETIME_FIELD_OVERFLOW;
	*moment -= days_1970_to_2000 * USECS_PER_DAY;
	return range_fault(*moment);
}

static void
check_epochs(const Input *input)
{
	static const ConvertEncoding units[] = {ENCODING_EPOCH_US, ENCODING_EPOCH_MS, ENCODING_EPOCH_S};
	char *copy = strdup(input->string);
	char *end = copy + input->length;
	char *trimmed = copy + strspn(copy, " \t\n\v\f\r");

	while (end > trimmed && isspace((unsigned char) end[-1]))
		*--end = '\0';
	for (int i = 0; i < 3; i++)
	{
		TimestampTz moment = 0;
		int64 plain = 0;
		int fault = time_parse_epoch(input->exact, input->length, units[i], &moment);

		REQUIRE(fault == expected_epoch(trimmed, 3 * i, &plain));
		REQUIRE(fault != 0 || moment == plain);
	}
	free(copy);
}

/* The keys written as a path again, each in quotes. */
static char *
quote_path(const List *keys)
{
	StringInfoData path;
	ListCell *cell;

	initStringInfo(&path);
	foreach (cell, keys)
	{
		if (path.len > 0)
			appendStringInfoChar(&path, '.');
		appendStringInfoChar(&path, '"');
		for (const char *at = lfirst(cell); *at; at++)
		{
			if (*at == '"')
				appendStringInfoChar(&path, '"');
			appendStringInfoChar(&path, *at);
		}
		appendStringInfoChar(&path, '"');
	}
	return path.data;
}

#define PATH_STEP "(\"([^\"]|\"\")*\"|[^.\"]+)"

static void
check_path(const Input *input)
{
	static regex_t form;
	List *keys = path_parse(input->string);
	List *again;

	if (form.re_nsub == 0)
		REQUIRE(regcomp(&form, "^" PATH_STEP "(\\." PATH_STEP ")*$", REG_EXTENDED) == 0);
	REQUIRE((keys != NIL) == (regexec(&form, input->string, 0, NULL, 0) == 0));
	if (keys == NIL)
		return;
	again = path_parse(quote_path(keys));
	REQUIRE(list_length(again) == list_length(keys));
	for (int i = 0; i < list_length(keys); i++)
		REQUIRE(strcmp(list_nth(keys, i), list_nth(again, i)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *string;
	Input input = {NULL, NULL, size};

	if (size > 0 && memchr(data, '\0', size) != NULL)
		return 0;
	input.string = string = calloc(size + 1, 1);
	input.exact = malloc(size > 0 ? size : 1);
	if (size > 0)
	{
		memcpy(string, data, size);
		memcpy(input.exact, data, size);
	}
	check_shape(&input);
	check_integers(&input);
	check_times(&input);
	check_epochs(&input);
	check_path(&input);
	shim_reset();
	free(string);
	free(input.exact);
	return 0;
}
