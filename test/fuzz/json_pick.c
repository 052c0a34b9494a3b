/*
 * json_pick.c: the plainest way to a value in a JSON document.
 *
 * It must be right for valid documents only, share no code with src/decode, and be too simple to
 * be wrong: no tokens, no state between keys, one search a step.
 */
#include "json_pick.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct Span
{
	const char *at;
	const char *end;
} Span;

static const char *
skip_blanks(const char *at, const char *end)
{
	while (at < end && memchr(" \t\r\n", *at, 4) != NULL)
		at++;
	return at;
}

static const char *
skip_string(const char *at)
{
	for (at++; *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at + 1;
}

/* The end of the value that begins here. */
static const char *
skip_value(const char *at, const char *end)
{
	int depth = 0;

	while (at < end)
	{
		if (*at == '"')
			at = skip_string(at);
		else if (depth == 0 && memchr(",]} \t\r\n", *at, 7) != NULL)
			return at;
		else
		{
			depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
			at++;
		}
		if (depth == 0 && (at[-1] == '"' || at[-1] == '}' || at[-1] == ']'))
			return at;
	}
	return at;
}

static int
hex_code(const char *digits)
{
	char copy[5] = {digits[0], digits[1], digits[2], digits[3], '\0'};

	return (int) strtol(copy, NULL, 16);
}

/* What the escape at the backslash stands for; *at is moved behind it. */
static int
resolve(const char **at)
{
	static const char letters[] = "bfnrt\b\f\n\r\t";
	char letter = (*at)[1];
	const char *found = memchr(letters, letter, 5);
	int code;

	if (letter != 'u')
	{
		*at += 2;
		return found ? found[5] : letter;
	}
	code = hex_code(*at + 2);
	*at += 6;
	if (code < 0xD800 || code > 0xDFFF)
		return code;
	code = 0x10000 + (code - 0xD800) * 0x400 + hex_code(*at + 2) - 0xDC00;
	*at += 6;
	return code;
}

static char *
put_utf8(char *out, int code)
{
	int following = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	static const int marks[] = {0, 0xC0, 0xE0, 0xF0};

	*out++ = (char) (marks[following] | code >> (6 * following));
	while (following-- > 0)
		*out++ = (char) (0x80 | (code >> (6 * following) & 0x3F));
	return out;
}

/* The text of a string, malloc'd; it is never longer than what was written. */
static char *
read_string(Span string, uint32_t *length)
{
	char *text = malloc(string.end - string.at);
	char *out = text;

	for (const char *at = string.at + 1; at < string.end - 1;)
	{
		if (*at == '\\')
			out = put_utf8(out, resolve(&at));
		else
			*out++ = *at++;
	}
	*length = (uint32_t) (out - text);
	return text;
}

static bool
is_key(Span string, const char *wanted)
{
	uint32_t length;
	char *text = read_string(string, &length);
	bool same = length == strlen(wanted) && memcmp(text, wanted, length) == 0;

	free(text);
	return same;
}

/* The last member of this key; false: none, or no object. */
static bool
find_member(Span object, const char *wanted, Span *found)
{
	const char *at = object.at + 1;
	bool any = false;

	if (*object.at != '{')
		return false;
	for (;;)
	{
		Span key;
		Span value;

		key.at = skip_blanks(at, object.end);
		if (*key.at == '}')
			return any;
		key.end = skip_string(key.at);
		value.at = skip_blanks(key.end, object.end) + 1;
		value.at = skip_blanks(value.at, object.end);
		value.end = skip_value(value.at, object.end);
		if (is_key(key, wanted))
		{
			*found = value;
			any = true;
		}
		at = skip_blanks(value.end, object.end);
		at += *at == ',';
	}
}

static JsonKind
kind_of(char first)
{
	switch (first)
	{
		case '{':
			return JSON_OBJECT;
		case '[':
			return JSON_ARRAY;
		case '"':
			return JSON_STRING;
		case 't':
			return JSON_TRUE;
		case 'f':
			return JSON_FALSE;
		case 'n':
			return JSON_NULL;
		default:
			return JSON_NUMBER;
	}
}

JsonValue
json_pick(const char *document, size_t length, const char *const *steps, int nsteps)
{
	JsonValue picked = {JSON_MISSING, 0, NULL};
	Span value = {document, document + length};

	value.at = skip_blanks(value.at, value.end);
	value.end = skip_value(value.at, value.end);
	for (int i = 0; i < nsteps; i++)
		if (!find_member(value, steps[i], &value))
			return picked;
	picked.kind = kind_of(*value.at);
	if (picked.kind == JSON_STRING)
		picked.text = read_string(value, &picked.length);
	else if (picked.kind != JSON_NULL)
	{
		picked.text = value.at;
		picked.length = (uint32_t) (value.end - value.at);
	}
	return picked;
}
