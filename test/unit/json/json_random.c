/*
 * json_random.c: the fast reader against the strict scanner on mutated documents, and
 * a small bench of both.
 */
#include "json_random.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json_verdict.h"

#define MAX_TEXT 4096
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const seeds[] = {
	"{\"user_id\":\"424cdd21-063a-43a7-b91b-7ca1a833afae\",\"app_version\":\"2.3.0\","
	"\"device_type\":\"android\",\"ip\":\"199.172.111.135\",\"locale\":\"RU\","
	"\"device_id\":\"593-47-5928\",\"timestamp\":\"1694479551\"}",
	"{\"a\": [1, -2.5e+10, true, false, null, \"x\\n\\u0041\\ud83d\\ude00\"], \"u\": {\"ip\": {}}}",
	" {\"u\": {\"ip\": \"\xE2\x82\xAC\xC3\xA9\xF0\x9F\x98\x80\", \"b\": {\"c\": {\"d\": [[]]}}}}\n",
	"\xEF\xBB\xBF{\"\\u0061\": \"\\\\\\\"\", \"a\": 0.0E-0, \"b\": [{\"a\": [{}, [], \"\"]}]}",
	"{\"a\": \"\\u00e9\\b\\f\\r\\t\\/ \\uDBFF\\uDFFF tail\", \"ts\": 1e999999, \"k\": \"]},:[{\"}",
};

/* What is written over or into a document: tokens, and bytes on which scanners differ. */
static const char *const scraps[] = {
	"{",
	"}",
	"[",
	"]",
	",",
	":",
	"\"",
	"\\",
	"\\\\",
	"\\\"",
	"\\u",
	"\\u0000",
	"\\ud83d",
	"\\ude00",
	"\\ud83d\\ude00",
	"\\n",
	"\\x",
	"null",
	"true",
	"fals",
	"0",
	"-",
	"1",
	".",
	"e",
	"E+",
	" ",
	"\t",
	"\n",
	"\f",
	"\v",
	"\x1A",
	"\x01",
	"\x7F",
	"\x80",
	"\xC3",
	"\xC3\xA9",
	"\xE2\x82",
	"\xED\xA0\x80",
	"\xC0\x80",
	"\xF4\x90\x80\x80",
	"\xEF\xBB\xBF",
	"\xFF",
	"\"a\"",
	"\"a\":",
	"{\"u\":",
	"[[[[[[[[",
	"]]]]]]]]",
	"{}",
	"[]",
	"\"\"",
	",\"a\":1",
	"\\\\\\\\\\\\\\\\\\",
	"                                                                ",
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
};

static const char *const paths[][4] = {
	{"a"},	{"u"},		 {"u", "ip"},	  {"u", "b", "c", "d"}, {"u", "b"}, {"b"},		   {"k"},
	{NULL}, {"user_id"}, {"app_version"}, {"device_type"},		{"locale"}, {"timestamp"},
};

static uint64_t random_state;

/* xorshift64*: the same documents from the same seed everywhere. */
static uint64_t
random_below(uint64_t bound)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * UINT64_C(2685821657736338717) >> 32) % bound;
}

JsonReader *
create_reader(void)
{
	JsonReader *reader = json_reader_create();

	for (size_t i = 0; reader != NULL && i < COUNT(paths); i++)
	{
		int nsteps = 0;

		while (nsteps < 4 && paths[i][nsteps] != NULL)
			nsteps++;
		if (json_reader_add_path(reader, paths[i], nsteps) != (int) i)
			abort();
	}
	return reader;
}

static void
report_difference(const char *text, size_t length, JsonVerdict fast, JsonVerdict strict)
{
	printf("# json_read says %d, json_verdict %d:", fast, strict);
	for (size_t i = 0; i < length; i++)
		printf("%s%02x", i % 32 == 0 ? "\n#   " : "", (unsigned char) text[i]);
	printf("\n");
}

/* Whether the values of a document are where and what they may be. */
static bool
values_are_sound(const JsonValue *values, JsonVerdict verdict)
{
	unsigned sum = 0;

	for (size_t i = 0; i < COUNT(paths); i++)
	{
		bool none = values[i].kind == JSON_MISSING || values[i].kind == JSON_NULL;

		if (none != (values[i].text == NULL) || (none && values[i].length != 0))
			return false;
		if (verdict != JSON_OK && values[i].kind != JSON_MISSING)
			return false;
		for (uint32_t at = 0; at < values[i].length; at++)
			sum += (unsigned char) values[i].text[at] == 0;
	}
	return sum == 0;
}

bool
verdicts_agree(JsonReader *reader, const char *text, size_t length)
{
	char *copy = malloc(length > 0 ? length : 1);
	JsonValue values[MAX_PATHS];
	JsonVerdict fast;
	JsonVerdict strict;

	memcpy(copy, text, length);
	strict = json_verdict(copy, length);
	fast = json_read(reader, copy, length, values);
	free(copy);
	if (fast == strict && values_are_sound(values, fast))
		return true;
	report_difference(text, length, fast, strict);
	return false;
}

/* Replaces "removed" bytes at a place by others, as far as there is room. */
static size_t
splice(char *text, size_t length, size_t at, size_t removed, const char *with, size_t added)
{
	if (removed > length - at)
		removed = length - at;
	if (length - removed + added > MAX_TEXT)
		return length;
	memmove(text + at + added, text + at + removed, length - at - removed);
	memcpy(text + at, with, added);
	return length - removed + added;
}

static size_t
mutate(char *text, size_t length)
{
	size_t at = random_below(length + 1);
	const char *scrap = scraps[random_below(COUNT(scraps))];
	char piece[64];
	size_t size;

	switch (random_below(6))
	{
		case 0:
			piece[0] = (char) random_below(256);
			return splice(text, length, at, 1, piece, 1);
		case 1:
			return splice(text, length, at, random_below(8), "", 0);
		case 2: /* copies a piece of the document elsewhere */
			size = random_below(sizeof(piece));
			if (size > length - at)
				size = length - at;
			memcpy(piece, text + at, size);
			return splice(text, length, random_below(length + 1), 0, piece, size);
		case 3:
			return splice(text, length, at, strlen(scrap), scrap, strlen(scrap));
		default:
			return splice(text, length, at, random_below(2), scrap, strlen(scrap));
	}
}

bool
run_random(int seconds, unsigned long long seed)
{
	JsonReader *reader = create_reader();
	time_t end = time(NULL) + seconds;
	unsigned long long documents = 0;
	bool same = true;
	char text[MAX_TEXT];

	random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	while (same && (documents % 1024 != 0 || time(NULL) < end))
	{
		const char *start = seeds[random_below(COUNT(seeds))];
		size_t length = strlen(start);

		memcpy(text, start, length);
		for (uint64_t left = random_below(6); left > 0; left--)
			length = mutate(text, length);
		same = verdicts_agree(reader, text, length);
		documents++;
	}
	printf("# %llu documents, seed %llu\n", documents, seed);
	json_reader_free(reader);
	return same;
}

static double
cpu_seconds(void)
{
	return (double) clock() / CLOCKS_PER_SEC;
}

/* CPU seconds a million documents, of one document: ratios count, not the figures. */
void
run_bench(long documents)
{
	JsonReader *reader = create_reader();
	size_t length = strlen(seeds[0]);
	JsonValue values[MAX_PATHS];
	double start = cpu_seconds();
	double middle;

	for (long i = 0; i < documents; i++)
		if (json_read(reader, seeds[0], length, values) != JSON_OK)
			abort();
	middle = cpu_seconds();
	for (long i = 0; i < documents; i++)
		if (json_verdict(seeds[0], length) != JSON_OK)
			abort();
	printf("# json_read %.3f, json_verdict %.3f cpu-s per million documents of %zu bytes\n",
		   (middle - start) * 1e6 / documents, (cpu_seconds() - middle) * 1e6 / documents, length);
	json_reader_free(reader);
}
