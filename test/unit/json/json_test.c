/*
 * json_test.c: the JSON reader by itself, without PostgreSQL.  Prints TAP.
 *
 * From the top of the tree (gcc links C and C++ alike):
 *   gcc -Wall -Wextra -Werror -g -O1 -iquote src/decode test/unit/json/json_test.c \
 *       test/unit/json/json_random.c src/decode/json_verdict.c src/decode/json.cc \
 *       src/decode/json_walk.cc -lsimdjson -lstdc++ -o json_test
 * json_test                        the cases
 * json_test --random SECONDS SEED  fast reader against strict scanner, mutated documents
 * json_test --bench N              cpu seconds of both over N documents
 * With -fsanitize=address,undefined the same.  SIMDJSON_FORCE_IMPLEMENTATION=fallback
 * (westmere, haswell, icelake) in the environment chooses what simdjson runs.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_cases.h"
#include "json_random.h"
#include "json_verdict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_STEPS 8

static int tests = 0;
static int failures = 0;

/* Every syntax, every kind, every length of UTF-8, escapes, and more than one block. */
static const char good_document[] =
	"{\"id\": \"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\", \"n\":[-0.5e+10,0,12],\"u\":{\"ip\":"
	"\"\\u0041\\ud83d\\ude00\\n\\\\\",\"b\":{}}, \"a\" : true,\"b\":false, \"k\":null,\"e\":[],"
	"\"device_type\":\"android\"}";

static void
ok(bool passed, const char *what, const char *name)
{
	tests++;
	if (!passed)
		failures++;
	printf("%s %d - %s%s\n", passed ? "ok" : "not ok", tests, what, name);
}

static void
test_verdicts(JsonReader *reader)
{
	for (size_t i = 0; i < COUNT(verdict_cases); i++)
	{
		const VerdictCase *c = &verdict_cases[i];

		ok(json_verdict(c->text, c->length) == c->verdict &&
			   verdicts_agree(reader, c->text, c->length),
		   "verdict: ", c->name);
	}
}

/* Adds a path written with dots, none for the empty one; its index. */
static int
add_dotted_path(JsonReader *reader, const char *path)
{
	char copy[128];
	const char *steps[MAX_STEPS];
	int nsteps = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *step = strtok(copy, "."); step != NULL; step = strtok(NULL, "."))
		steps[nsteps++] = step;
	return json_reader_add_path(reader, steps, nsteps);
}

static bool
has_value(JsonReader *reader, const ValueCase *c)
{
	JsonValue values[MAX_PATHS];
	const JsonValue *value = &values[add_dotted_path(reader, c->path)];

	if (json_read(reader, c->text, strlen(c->text), values) != JSON_OK)
		return false;
	if (value->kind != c->kind || (value->text == NULL) != (c->expected == NULL))
		return false;
	return c->expected == NULL || (value->length == strlen(c->expected) &&
								   memcmp(value->text, c->expected, value->length) == 0);
}

/* Each value with its path alone, and with all the paths of the table in one reader. */
static void
test_values(void)
{
	JsonReader *all = json_reader_create();

	for (size_t i = 0; i < COUNT(value_cases); i++)
		add_dotted_path(all, value_cases[i].path);
	for (size_t i = 0; i < COUNT(value_cases); i++)
	{
		JsonReader *one = json_reader_create();
		char name[256];

		snprintf(name, sizeof(name), "%s of %s", value_cases[i].path, value_cases[i].text);
		for (char *c = name; *c != '\0'; c++)
			*c = *c == '\n' || *c == '#' ? ' ' : *c;
		ok(has_value(one, &value_cases[i]) && has_value(all, &value_cases[i]), "value: ", name);
		json_reader_free(one);
	}
	json_reader_free(all);
}

static void
test_paths(void)
{
	JsonReader *reader = json_reader_create();
	int u = add_dotted_path(reader, "u");
	int ip = add_dotted_path(reader, "u.ip");

	ok(u == 0 && ip == 1, "", "paths are numbered as they come");
	ok(add_dotted_path(reader, "u.ip") == ip, "", "the same path has the same index");
	ok(add_dotted_path(reader, "u.b") == 2, "", "another path has another");
	json_reader_free(reader);
	json_reader_free(NULL);
}

static void
test_fresh_reader(void)
{
	JsonReader *reader = json_reader_create();

	ok(json_read(reader, "", 0, NULL) == JSON_BAD_SYNTAX, "", "an empty message comes first");
	ok(json_read(reader, "{\"a\": 1}", 8, NULL) == JSON_OK, "", "a reader without paths");
	json_reader_free(reader);
}

/* A document of so many levels, the object around them included; then as many closed. */
static char *
nested_document(int levels, bool arrays, size_t *length)
{
	const char *opening = arrays ? "[" : "{\"a\":";
	size_t step = strlen(opening);
	char *text = malloc(levels * (step + 1) + 8);
	char *at = text;

	at += sprintf(at, "{\"a\":");
	for (int i = 1; i < levels; i++, at += step)
		memcpy(at, opening, step);
	*at++ = '0';
	memset(at, arrays ? ']' : '}', levels - 1);
	at += levels - 1;
	*at++ = '}';
	*length = at - text;
	return text;
}

static void
test_depth(JsonReader *reader)
{
	static const struct
	{
		int levels;
		bool arrays;
		JsonVerdict verdict;
		const char *name;
	} cases[] = {
		{512, true, JSON_OK, "512 levels of arrays"},
		{513, true, JSON_TOO_DEEP, "513 levels of arrays"},
		{512, false, JSON_OK, "512 levels of objects"},
		{513, false, JSON_TOO_DEEP, "513 levels of objects"},
		{100000, true, JSON_TOO_DEEP, "100,000 levels"},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
	{
		size_t length;
		char *text = nested_document(cases[i].levels, cases[i].arrays, &length);

		ok(json_verdict(text, length) == cases[i].verdict && verdicts_agree(reader, text, length),
		   "depth: ", cases[i].name);
		text[length - 1] = '\xFF'; /* the encoding comes before the depth */
		ok(json_verdict(text, length) == JSON_BAD_ENCODING && verdicts_agree(reader, text, length),
		   "depth and encoding: ", cases[i].name);
		free(text);
	}
}

static void
test_open_brackets(JsonReader *reader)
{
	size_t length = 250000;
	char *text = malloc(length);

	memset(text, '[', length);
	ok(json_verdict(text, length) == JSON_TOO_DEEP && verdicts_agree(reader, text, length), "",
	   "250,000 open brackets");
	memset(text, '{', length);
	ok(json_verdict(text, length) == JSON_BAD_SYNTAX && verdicts_agree(reader, text, length), "",
	   "250,000 open braces");
	text[512] = 'x';
	memset(text, '[', 512);
	ok(json_verdict(text, length) == JSON_BAD_SYNTAX && verdicts_agree(reader, text, length), "",
	   "a fault at level 512 comes before level 513");
	free(text);
}

/* The reader's memory grows with a message, and shrinks again; both at any length. */
static void
test_sizes(JsonReader *reader)
{
	size_t lengths[] = {10, 4095, 4096, 4097, 65536, 3000000, 20, 70000, 1048576, 30};
	char *text = malloc(3000000);
	bool same = true;

	for (size_t i = 0; i < COUNT(lengths); i++)
	{
		size_t length = lengths[i];

		memset(text, 'y', length);
		memcpy(text, "{\"a\":\"", 6);
		memcpy(text + length - 2, "\"}", 2);
		same =
			same && json_verdict(text, length) == JSON_OK && verdicts_agree(reader, text, length);
		text[length - 4] = '\\';
		same = same && verdicts_agree(reader, text, length);
		text[length - 3] = 'n';
		same =
			same && json_verdict(text, length) == JSON_OK && verdicts_agree(reader, text, length);
	}
	ok(same, "", "messages of many sizes");
	ok(json_read(reader, text, (size_t) INT32_MAX + 1, (JsonValue[MAX_PATHS]){0}) == JSON_NO_MEMORY,
	   "", "a message of 2 GB is refused unread");
	free(text);
}

static void
test_truncations(JsonReader *reader)
{
	size_t length = sizeof(good_document) - 1;
	bool same = json_verdict(good_document, length) == JSON_OK;

	for (size_t i = 0; i < length; i++)
		same = same && json_verdict(good_document, i) != JSON_OK &&
			   verdicts_agree(reader, good_document, i);
	ok(same, "", "a document cut at every byte");
}

static void
test_mutations(JsonReader *reader)
{
	size_t length = sizeof(good_document) - 1;
	char text[sizeof(good_document)];
	bool same = true;

	memcpy(text, good_document, sizeof(text));
	for (size_t i = 0; i < length; i++)
	{
		for (int byte = 0; byte < 256; byte++)
		{
			text[i] = (char) byte;
			same = same && verdicts_agree(reader, text, length);
		}
		text[i] = good_document[i];
	}
	ok(same, "", "a document with every byte changed into every other");
}

/* All texts of five characters out of those that matter, as a value. */
static void
test_short_texts(JsonReader *reader)
{
	static const char alphabet[] = "{}[]:,\"\\u0- 1.eat";
	char text[] = "{\"a\":....., \"b\":1}";
	size_t letters = sizeof(alphabet) - 1;
	size_t total = letters * letters * letters * letters * letters;
	bool same = true;

	for (size_t i = 0; i < total && same; i++)
	{
		for (size_t rest = i, at = 0; at < 5; at++, rest /= letters)
			text[5 + at] = alphabet[rest % letters];
		same = verdicts_agree(reader, text, sizeof(text) - 1);
	}
	ok(same, "", "every short text as a value");
}

static void
run_cases(void)
{
	JsonReader *reader = create_reader();

	test_verdicts(reader);
	test_values();
	test_paths();
	test_fresh_reader();
	test_depth(reader);
	test_open_brackets(reader);
	test_sizes(reader);
	test_truncations(reader);
	test_mutations(reader);
	test_short_texts(reader);
	json_reader_free(reader);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--bench") == 0)
	{
		run_bench(atol(argv[2]));
		return EXIT_SUCCESS;
	}
	if (argc == 4 && strcmp(argv[1], "--random") == 0)
		ok(run_random(atoi(argv[2]), strtoull(argv[3], NULL, 10)), "", "mutated documents");
	else if (argc == 1)
		run_cases();
	else
	{
		fprintf(stderr, "usage: %s [--random SECONDS SEED | --bench N]\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("1..%d\n", tests);
	return failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
