/*
 * json_verdict.c: what is wrong with a message, as jsonb would say it.
 *
 * The encoding is judged over the whole message; then the text is read from the left
 * and its first fault counts.  The walk of json.cc decides only whether a document is
 * valid; this scanner gives the reason when it is not.  It shares no code with json.cc
 * and uses no library: the tests hold the two against each other.  It must not recurse
 * (a message may be 250,000 brackets) and must not read beyond the message.
 */
#include "json_verdict.h"

#include <stdbool.h>
#include <string.h>

/* The brackets that are open are kept as the characters that will close them. */
typedef struct Scanner
{
	const unsigned char *at;
	const unsigned char *end;
	int depth;
	unsigned char closers[JSON_MAX_DEPTH];
} Scanner;

static bool
is_continuation(unsigned char byte)
{
	return (byte & 0xC0) == 0x80;
}

/*
 * The length of the UTF-8 sequence at p, 0 when it is none.  The second byte's range
 * excludes overlong forms, surrogates and what is beyond U+10FFFF (Unicode, table 3-7).
 */
static size_t
utf8_length(const unsigned char *p, size_t left)
{
	unsigned char first = p[0];
	unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
	size_t length;

	if (first < 0x80)
		return 1;
	if (first < 0xC2 || first > 0xF4)
		return 0;
	length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	if (left < length || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (!is_continuation(p[i]))
			return 0;
	return length;
}

static bool
is_encoded_well(const unsigned char *p, const unsigned char *end)
{
	while (p < end)
	{
		size_t length = utf8_length(p, (size_t) (end - p));

		if (length == 0 || *p == '\0')
			return false;
		p += length;
	}
	return true;
}

/* The next character that is no blank, not yet consumed; NUL at the end of the text. */
static unsigned char
peek(Scanner *scanner)
{
	while (scanner->at < scanner->end)
	{
		unsigned char c = *scanner->at;

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return c;
		scanner->at++;
	}
	return '\0';
}

/* Consumes the character if it is the next one, blanks before it included. */
static bool
take(Scanner *scanner, unsigned char expected)
{
	if (peek(scanner) != expected)
		return false;
	scanner->at++;
	return true;
}

/* The value of four hex digits at the scanner, which it passes; -1 when there are none. */
static int
take_hex(Scanner *scanner)
{
	int code = 0;

	if (scanner->end - scanner->at < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		unsigned char c = *scanner->at++;

		if (c >= '0' && c <= '9')
			code = code * 16 + (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			code = code * 16 + ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return code;
}

/*
 * Passes one escape, the backslash already behind it.  *code is the UTF-16 unit of a
 * \u escape, -1 for the others.
 */
static bool
take_escape(Scanner *scanner, int *code)
{
	unsigned char c;

	*code = -1;
	if (scanner->at == scanner->end)
		return false;
	c = *scanner->at++;
	if (c == 'u')
		return (*code = take_hex(scanner)) >= 0;
	return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
}

/* Passes a string; its first fault counts.  \uD800 must have its low half at once. */
static JsonVerdict
scan_string(Scanner *scanner)
{
	bool pending = false; /* a high surrogate has just been read */

	if (!take(scanner, '"'))
		return JSON_BAD_SYNTAX;
	while (scanner->at < scanner->end && *scanner->at >= ' ')
	{
		unsigned char c = *scanner->at++;
		int code = -1;
		bool low;

		if (c == '"')
			return pending ? JSON_BAD_SYNTAX : JSON_OK;
		if (c == '\\' && !take_escape(scanner, &code))
			return JSON_BAD_SYNTAX;
		low = code >= 0xDC00 && code <= 0xDFFF;
		if (low != pending)
			return JSON_BAD_SYNTAX;
		if (code == 0)
			return JSON_NUL_ESCAPE;
		pending = code >= 0xD800 && code <= 0xDBFF;
	}
	return JSON_BAD_SYNTAX;
}

/* The fault of a token that may not be here: what is wrong inside it comes first. */
static JsonVerdict
refuse_token(Scanner *scanner)
{
	return scan_string(scanner) == JSON_NUL_ESCAPE ? JSON_NUL_ESCAPE : JSON_BAD_SYNTAX;
}

static bool
take_digits(Scanner *scanner)
{
	const unsigned char *start = scanner->at;

	while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
		scanner->at++;
	return scanner->at > start;
}

/* Consumes the very next character, no blank before it, if it is one of these. */
static bool
take_any(Scanner *scanner, const char *these)
{
	if (scanner->at == scanner->end || *scanner->at == '\0' || strchr(these, *scanner->at) == NULL)
		return false;
	scanner->at++;
	return true;
}

/* What is left over, as the 1 of 01, is for the caller to stumble over. */
static JsonVerdict
scan_number(Scanner *scanner)
{
	take_any(scanner, "-");
	if (!take_any(scanner, "0") && !take_digits(scanner))
		return JSON_BAD_SYNTAX;
	if (take_any(scanner, ".") && !take_digits(scanner))
		return JSON_BAD_SYNTAX;
	if (take_any(scanner, "eE"))
	{
		take_any(scanner, "+-");
		if (!take_digits(scanner))
			return JSON_BAD_SYNTAX;
	}
	return JSON_OK;
}

static JsonVerdict
scan_word(Scanner *scanner, const char *word)
{
	size_t length = strlen(word);

	if ((size_t) (scanner->end - scanner->at) < length || memcmp(scanner->at, word, length) != 0)
		return JSON_BAD_SYNTAX;
	scanner->at += length;
	return JSON_OK;
}

static JsonVerdict
scan_scalar(Scanner *scanner)
{
	switch (peek(scanner))
	{
		case '"':
			return scan_string(scanner);
		case 't':
			return scan_word(scanner, "true");
		case 'f':
			return scan_word(scanner, "false");
		case 'n':
			return scan_word(scanner, "null");
		default:
			return scan_number(scanner);
	}
}

static JsonVerdict
scan_key(Scanner *scanner)
{
	JsonVerdict verdict = scan_string(scanner);

	if (verdict == JSON_OK && !take(scanner, ':'))
		return refuse_token(scanner);
	return verdict;
}

/* A value as far as its first scalar: passes opening brackets and the keys behind them. */
static JsonVerdict
scan_value(Scanner *scanner)
{
	for (;;)
	{
		unsigned char c = peek(scanner);
		JsonVerdict verdict;

		if (c != '{' && c != '[')
			return scan_scalar(scanner);
		if (scanner->depth == JSON_MAX_DEPTH)
			return JSON_TOO_DEEP;
		scanner->at++;
		scanner->closers[scanner->depth++] = c == '{' ? '}' : ']';
		if (peek(scanner) == scanner->closers[scanner->depth - 1])
			return JSON_OK;
		if (c == '{' && (verdict = scan_key(scanner)) != JSON_OK)
			return verdict;
	}
}

/* One value at the top, and nothing behind it. */
static JsonVerdict
scan_document(Scanner *scanner)
{
	JsonVerdict verdict = scan_value(scanner);

	while (verdict == JSON_OK && scanner->depth > 0)
	{
		unsigned char closer = scanner->closers[scanner->depth - 1];

		if (take(scanner, closer))
			scanner->depth--;
		else if (!take(scanner, ','))
			return refuse_token(scanner);
		else if (closer != '}' || (verdict = scan_key(scanner)) == JSON_OK)
			verdict = scan_value(scanner);
	}
	if (verdict == JSON_OK && peek(scanner) != '\0')
		return refuse_token(scanner);
	return verdict;
}

JsonVerdict
json_verdict(const char *data, size_t length)
{
	Scanner scanner;
	bool object;
	JsonVerdict verdict;

	if (length >= JSON_BOM_LENGTH && memcmp(data, JSON_BOM, JSON_BOM_LENGTH) == 0)
	{
		data += JSON_BOM_LENGTH;
		length -= JSON_BOM_LENGTH;
	}
	scanner.at = (const unsigned char *) data;
	scanner.end = scanner.at + length;
	scanner.depth = 0;
	if (!is_encoded_well(scanner.at, scanner.end))
		return JSON_BAD_ENCODING;
	object = peek(&scanner) == '{';
	verdict = scan_document(&scanner);
	return verdict == JSON_OK && !object ? JSON_NOT_OBJECT : verdict;
}
