/*
 * json_cases.h: documents with the verdict and values that jsonb gives them.
 * Included by json_test.c only.
 */
#ifndef JSON_CASES_H
#define JSON_CASES_H

#include "json.h"

/* A literal and its length, NUL bytes within included. */
#define TEXT(literal) literal, sizeof(literal) - 1

typedef struct VerdictCase
{
	const char *name;
	JsonVerdict verdict;
	const char *text;
	size_t length;
} VerdictCase;

/* The steps of a path are separated by dots; expected NULL: no text. */
typedef struct ValueCase
{
	const char *text;
	const char *path;
	JsonKind kind;
	const char *expected;
} ValueCase;

static const VerdictCase verdict_cases[] = {
	/* the document */
	{"a plain string", JSON_OK, TEXT("{\"ts\": \"2024-01-01T00:00:01Z\", \"x\": \"abc\"}")},
	{"an empty object", JSON_OK, TEXT("{}")},
	{"blanks in an empty object", JSON_OK, TEXT(" { \n} ")},
	{"an empty document", JSON_BAD_SYNTAX, TEXT("")},
	{"blanks only", JSON_BAD_SYNTAX, TEXT(" \t\n")},
	{"white space around", JSON_OK, TEXT(" \r\n\t{\"x\": \"a\"}\n")},
	{"trailing garbage", JSON_BAD_SYNTAX, TEXT("{\"x\": \"a\"} x")},
	{"two documents", JSON_BAD_SYNTAX, TEXT("{\"x\": \"a\"}{\"x\": \"b\"}")},
	{"a comma behind the document", JSON_BAD_SYNTAX, TEXT("{\"x\": 1},")},
	{"a comma behind an empty object", JSON_BAD_SYNTAX, TEXT("{},")},
	{"a bracket too many", JSON_BAD_SYNTAX, TEXT("{\"x\": 1}}")},
	{"a top-level array", JSON_NOT_OBJECT, TEXT("[1]")},
	{"an empty array", JSON_NOT_OBJECT, TEXT("[]")},
	{"a top-level string", JSON_NOT_OBJECT, TEXT("\"x\"")},
	{"a top-level number", JSON_NOT_OBJECT, TEXT("-1.5e3")},
	{"a top-level null", JSON_NOT_OBJECT, TEXT(" null ")},
	{"a top-level array with a fault", JSON_BAD_SYNTAX, TEXT("[1")},
	{"a top-level string with a NUL", JSON_NUL_ESCAPE, TEXT("\"\\u0000\"")},
	{"cut in the middle", JSON_BAD_SYNTAX, TEXT("{\"ts\": \"2024-01-01T00")},

	/* the byte order mark */
	{"one byte order mark", JSON_OK, TEXT("\xEF\xBB\xBF{\"x\": \"a\"}")},
	{"two byte order marks", JSON_BAD_SYNTAX, TEXT("\xEF\xBB\xBF\xEF\xBB\xBF{\"x\": 1}")},
	{"a byte order mark alone", JSON_BAD_SYNTAX, TEXT("\xEF\xBB\xBF")},
	{"half a byte order mark", JSON_BAD_ENCODING, TEXT("\xEF\xBB{}")},
	{"a blank before the byte order mark", JSON_BAD_SYNTAX, TEXT(" \xEF\xBB\xBF{}")},
	{"a byte order mark behind", JSON_BAD_SYNTAX, TEXT("{}\xEF\xBB\xBF")},
	{"a byte order mark in a string", JSON_OK, TEXT("{\"x\": \"\xEF\xBB\xBF\"}")},

	/* objects and arrays */
	{"a trailing comma", JSON_BAD_SYNTAX, TEXT("{\"x\": \"a\",}")},
	{"a trailing comma in an array", JSON_BAD_SYNTAX, TEXT("{\"x\": [1,]}")},
	{"a leading comma", JSON_BAD_SYNTAX, TEXT("{,\"x\": 1}")},
	{"a leading comma in an array", JSON_BAD_SYNTAX, TEXT("{\"x\": [,1]}")},
	{"two commas", JSON_BAD_SYNTAX, TEXT("{\"x\": [1,,2]}")},
	{"only a comma", JSON_BAD_SYNTAX, TEXT("{,}")},
	{"no comma between members", JSON_BAD_SYNTAX, TEXT("{\"x\": 1 \"y\": 2}")},
	{"no comma between elements", JSON_BAD_SYNTAX, TEXT("{\"x\": [1 2]}")},
	{"no comma between strings", JSON_BAD_SYNTAX, TEXT("{\"x\": [\"a\" \"b\"]}")},
	{"no blank between strings", JSON_BAD_SYNTAX, TEXT("{\"x\": [\"a\"\"b\"]}")},
	{"no colon", JSON_BAD_SYNTAX, TEXT("{\"x\" 1}")},
	{"two colons", JSON_BAD_SYNTAX, TEXT("{\"x\":: 1}")},
	{"a comma for a colon", JSON_BAD_SYNTAX, TEXT("{\"x\", 1}")},
	{"a colon for a comma", JSON_BAD_SYNTAX, TEXT("{\"x\": 1: \"y\": 2}")},
	{"a colon in an array", JSON_BAD_SYNTAX, TEXT("{\"x\": [1:2]}")},
	{"a key without value", JSON_BAD_SYNTAX, TEXT("{\"x\":}")},
	{"a key alone", JSON_BAD_SYNTAX, TEXT("{\"x\"}")},
	{"a value without key", JSON_BAD_SYNTAX, TEXT("{: 1}")},
	{"a number as a key", JSON_BAD_SYNTAX, TEXT("{1: 1}")},
	{"an unquoted key", JSON_BAD_SYNTAX, TEXT("{x: \"a\"}")},
	{"null as a key", JSON_BAD_SYNTAX, TEXT("{null: 1}")},
	{"an array as a key", JSON_BAD_SYNTAX, TEXT("{[]: 1}")},
	{"an empty key", JSON_OK, TEXT("{\"\": 1}")},
	{"an object closed as an array", JSON_BAD_SYNTAX, TEXT("{\"x\": 1]")},
	{"an array closed as an object", JSON_BAD_SYNTAX, TEXT("{\"x\": [1}}")},
	{"an empty object closed as an array", JSON_BAD_SYNTAX, TEXT("{]")},
	{"an array left open", JSON_BAD_SYNTAX, TEXT("{\"x\": [1, 2}")},
	{"an object left open", JSON_BAD_SYNTAX, TEXT("{\"x\": {\"y\": 1}")},
	{"one bracket", JSON_BAD_SYNTAX, TEXT("{")},
	{"a closing bracket", JSON_BAD_SYNTAX, TEXT("}")},
	{"empty ones nested", JSON_OK, TEXT("{\"x\": [[], {}, [{}], {\"\": []}]}")},
	{"extra keys of all kinds", JSON_OK, TEXT("{\"y\": [1, {\"z\": 2}, null, true, false, \"\"]}")},
	{"a comment", JSON_BAD_SYNTAX, TEXT("{\"x\": \"a\" /* c */}")},
	{"a line's comment", JSON_BAD_SYNTAX, TEXT("{\"x\": 1} // c")},

	/* words */
	{"NaN", JSON_BAD_SYNTAX, TEXT("{\"x\": NaN}")},
	{"Infinity", JSON_BAD_SYNTAX, TEXT("{\"x\": -Infinity}")},
	{"a capital True", JSON_BAD_SYNTAX, TEXT("{\"x\": True}")},
	{"a word cut short", JSON_BAD_SYNTAX, TEXT("{\"x\": tru}")},
	{"a word too long", JSON_BAD_SYNTAX, TEXT("{\"x\": truee}")},
	{"two words", JSON_BAD_SYNTAX, TEXT("{\"x\": true false}")},
	{"a word and a string", JSON_BAD_SYNTAX, TEXT("{\"x\": null\"\"}")},
	{"a string and a word", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\"null}")},
	{"a word and a bracket", JSON_BAD_SYNTAX, TEXT("{\"x\": null[]}")},
	{"undefined", JSON_BAD_SYNTAX, TEXT("{\"x\": undefined}")},
	{"a backslash outside strings", JSON_BAD_SYNTAX, TEXT("{\"x\": \\\"a\"}")},
	{"a backslash before a bracket", JSON_BAD_SYNTAX, TEXT("{\"x\": 1\\}")},
	{"a form feed as a blank", JSON_BAD_SYNTAX, TEXT("{\"x\": 1\f}")},
	{"a form feed for a comma", JSON_BAD_SYNTAX, TEXT("{\"x\": 1\f\"y\": 1}")},
	{"a SUB for a colon", JSON_BAD_SYNTAX, TEXT("{\"x\"\x1A 1}")},
	{"a vertical tab as a blank", JSON_BAD_SYNTAX, TEXT("{\v\"x\": 1}")},
	{"a no-break space", JSON_BAD_SYNTAX,
	 TEXT("{\"x\":\xC2\xA0"
		  "1}")},
	{"a NEL behind", JSON_BAD_SYNTAX, TEXT("{}\xC2\x85")},

	/* numbers */
	{"a huge number", JSON_OK, TEXT("{\"y\": 1e999999}")},
	{"a number of many digits", JSON_OK,
	 TEXT("{\"y\": 123456789012345678901234567890123456789012345678901234567890.0}")},
	{"a tiny number", JSON_OK, TEXT("{\"y\": 1E-999999999999}")},
	{"minus zero", JSON_OK, TEXT("{\"y\": -0}")},
	{"all of a number", JSON_OK, TEXT("{\"y\": -10.250E+007}")},
	{"a leading zero", JSON_BAD_SYNTAX, TEXT("{\"x\": 01}")},
	{"a leading zero behind a minus", JSON_BAD_SYNTAX, TEXT("{\"x\": -01}")},
	{"two zeros", JSON_BAD_SYNTAX, TEXT("{\"x\": 00}")},
	{"a leading plus", JSON_BAD_SYNTAX, TEXT("{\"x\": +1}")},
	{"a point at the end", JSON_BAD_SYNTAX, TEXT("{\"x\": 1.}")},
	{"a point at the start", JSON_BAD_SYNTAX, TEXT("{\"x\": .5}")},
	{"a point before the exponent", JSON_BAD_SYNTAX, TEXT("{\"x\": 1.e5}")},
	{"an exponent without digits", JSON_BAD_SYNTAX, TEXT("{\"x\": 1e}")},
	{"an exponent's sign without digits", JSON_BAD_SYNTAX, TEXT("{\"x\": 1e+}")},
	{"two signs of an exponent", JSON_BAD_SYNTAX, TEXT("{\"x\": 1e+-1}")},
	{"a broken exponent", JSON_BAD_SYNTAX, TEXT("{\"x\": 1e1.5}")},
	{"a minus alone", JSON_BAD_SYNTAX, TEXT("{\"x\": -}")},
	{"two minuses", JSON_BAD_SYNTAX, TEXT("{\"x\": --1}")},
	{"two points", JSON_BAD_SYNTAX, TEXT("{\"x\": 1.2.3}")},
	{"hex", JSON_BAD_SYNTAX, TEXT("{\"x\": 0x10}")},
	{"a letter behind a number", JSON_BAD_SYNTAX, TEXT("{\"x\": 1a}")},
	{"a string behind a number", JSON_BAD_SYNTAX, TEXT("{\"x\": 1\"\"}")},
	{"a number behind a string", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\"1}")},
	{"digits with a blank", JSON_BAD_SYNTAX, TEXT("{\"x\": 1 000}")},
	{"digits with a separator", JSON_BAD_SYNTAX, TEXT("{\"x\": 1_000}")},
	{"an Arabic digit", JSON_BAD_SYNTAX, TEXT("{\"x\": \xD9\xA1}")},

	/* strings */
	{"every escape", JSON_OK, TEXT("{\"x\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uABCD\"}")},
	{"an unknown escape", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\x41\"}")},
	{"a capital U", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\U0041\"}")},
	{"three hex digits", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\u004\"}")},
	{"no hex digit", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\u00g0\"}")},
	{"a sign among hex digits", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\u+041\"}")},
	{"an escaped control character", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\\n\"}")},
	{"an escaped two-byte character", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\\xC3\xA9\"}")},
	{"an unknown escape in an undeclared key", JSON_BAD_SYNTAX, TEXT("{\"\\a\": 1}")},
	{"an unknown escape deep inside", JSON_BAD_SYNTAX, TEXT("{\"z\": [{\"z\": [\"\\a\"]}]}")},
	{"an escaped quote at the end", JSON_BAD_SYNTAX, TEXT("{\"x\": \"a\\\"}")},
	{"an escaped backslash at the end", JSON_OK, TEXT("{\"x\": \"a\\\\\"}")},
	{"single quotes", JSON_BAD_SYNTAX, TEXT("{\"x\": 'a'}")},
	{"a raw tab", JSON_BAD_SYNTAX, TEXT("{\"x\": \"a\tb\"}")},
	{"a raw line end", JSON_BAD_SYNTAX, TEXT("{\"x\": \"a\nb\"}")},
	{"a raw unit separator", JSON_BAD_SYNTAX,
	 TEXT("{\"x\": \"a\x1F"
		  "b\"}")},
	{"a raw DEL", JSON_OK,
	 TEXT("{\"x\": \"a\x7F"
		  "b\"}")},
	{"a raw tab in a key", JSON_BAD_SYNTAX, TEXT("{\"a\tb\": 1}")},
	{"a raw U+2028", JSON_OK, TEXT("{\"x\": \"\xE2\x80\xA8\"}")},
	{"the last character", JSON_OK, TEXT("{\"x\": \"\xF4\x8F\xBF\xBF\"}")},
	{"brackets and commas in a string", JSON_OK, TEXT("{\"x\": \"]},{:[\"}")},

	/* surrogates and NUL */
	{"a surrogate pair", JSON_OK, TEXT("{\"x\": \"\\ud83d\\ude00\"}")},
	{"a pair in capitals", JSON_OK, TEXT("{\"x\": \"\\uDBFF\\uDFFF\"}")},
	{"a lone high surrogate", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud83d\"}")},
	{"a lone low surrogate", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ude00\"}")},
	{"surrogates the wrong way round", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ude00\\ud83d\"}")},
	{"two high surrogates and a low", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud83d\\ud83d\\ude00\"}")},
	{"a pair and a low surrogate", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud83d\\ude00\\ude00\"}")},
	{"a pair with a letter between", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud83da\\ude00\"}")},
	{"a pair with an escape between", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud83d\\n\\ude00\"}")},
	{"a high surrogate before no surrogate", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud83d\\u0041\"}")},
	{"a lone surrogate in a key", JSON_BAD_SYNTAX, TEXT("{\"\\udfff\": 1}")},
	{"an escaped NUL", JSON_NUL_ESCAPE, TEXT("{\"x\": \"a\\u0000b\"}")},
	{"an escaped NUL in an undeclared key", JSON_NUL_ESCAPE, TEXT("{\"\\u0000\": 1}")},
	{"an escaped NUL in an undeclared value", JSON_NUL_ESCAPE, TEXT("{\"o\": [\"\\u0000\"]}")},
	{"no NUL but its text", JSON_OK, TEXT("{\"x\": \"\\\\u0000\"}")},
	{"U+0001 escaped", JSON_OK, TEXT("{\"x\": \"\\u0001\"}")},

	/* several faults: the first one counts */
	{"a NUL, then bad syntax", JSON_NUL_ESCAPE, TEXT("{\"x\": \"\\u0000\", y}")},
	{"bad syntax, then a NUL", JSON_BAD_SYNTAX, TEXT("{x: \"\\u0000\"}")},
	{"a NUL, then an unknown escape", JSON_NUL_ESCAPE, TEXT("{\"x\": \"\\u0000\\x\"}")},
	{"an unknown escape, then a NUL", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\x\\u0000\"}")},
	{"a NUL, then a lone surrogate", JSON_NUL_ESCAPE, TEXT("{\"x\": \"\\u0000\\ud800\"}")},
	{"a high surrogate, then a NUL", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud800\\u0000\"}")},
	{"a lone surrogate, then a NUL", JSON_BAD_SYNTAX, TEXT("{\"x\": \"\\ud800 \\u0000\"}")},
	{"a NUL, then a control character", JSON_NUL_ESCAPE, TEXT("{\"x\": \"\\u0000\n\"}")},
	{"a NUL in a string left open", JSON_NUL_ESCAPE, TEXT("{\"x\": \"\\u0000")},
	{"a NUL in a key without colon", JSON_NUL_ESCAPE, TEXT("{\"\\u0000\" 1}")},
	{"a NUL where a comma must be", JSON_NUL_ESCAPE, TEXT("{\"x\": 1 \"\\u0000\"}")},
	{"a NUL where a colon must be", JSON_NUL_ESCAPE, TEXT("{\"x\" \"\\u0000\"}")},
	{"a NUL behind the document", JSON_NUL_ESCAPE, TEXT("{\"x\": 1} \"\\u0000\"")},
	{"a NUL behind a word of more letters", JSON_BAD_SYNTAX, TEXT("{\"x\": nullx\"\\u0000\"}")},
	{"a comma too many, then a NUL", JSON_BAD_SYNTAX, TEXT("{\"x\": [1,] \"\\u0000\"}")},
	{"a NUL, then bad encoding", JSON_BAD_ENCODING, TEXT("{\"x\": \"\\u0000\"}\xFF")},
	{"bad syntax, then bad encoding", JSON_BAD_ENCODING, TEXT("{x}\xFF")},
	{"an array, then bad encoding", JSON_BAD_ENCODING, TEXT("[\"\xFF\"]")},

	/* the encoding */
	{"a raw NUL in a string", JSON_BAD_ENCODING, TEXT("{\"k\": \"a\0b\"}")},
	{"a raw NUL behind the document", JSON_BAD_ENCODING, TEXT("{\"k\": \"a\"}\0")},
	{"a raw NUL alone", JSON_BAD_ENCODING, TEXT("\0")},
	{"a raw NUL as a blank", JSON_BAD_ENCODING, TEXT("{\0\"k\": 1}")},
	{"a raw NUL in a number", JSON_BAD_ENCODING, TEXT("{\"k\": 1\0}")},
	{"an escaped raw NUL", JSON_BAD_ENCODING, TEXT("{\"k\": \"\\\0\"}")},
	{"a continuation byte alone", JSON_BAD_ENCODING, TEXT("{\"k\": \"\x80\"}")},
	{"a sequence cut short", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xC3\"}")},
	{"a sequence cut by the end", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xE2\x82")},
	{"an overlong slash", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xC0\xAF\"}")},
	{"an overlong NUL", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xC0\x80\"}")},
	{"overlong in three bytes", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xE0\x9F\xBF\"}")},
	{"overlong in four bytes", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xF0\x8F\xBF\xBF\"}")},
	{"an encoded surrogate", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xED\xA0\x80\"}")},
	{"beyond U+10FFFF", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xF4\x90\x80\x80\"}")},
	{"a five-byte sequence", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xF8\x88\x80\x80\x80\"}")},
	{"Latin-1", JSON_BAD_ENCODING, TEXT("{\"k\": \"\xE9\"}")},
	{"in an undeclared key", JSON_BAD_ENCODING, TEXT("{\"\xFF\": 1}")},
	{"outside of strings", JSON_BAD_ENCODING, TEXT("{\"k\": 1\xFF}")},
	{"an escaped lead byte", JSON_BAD_ENCODING, TEXT("{\"k\": \"\\\xC3\"}")},
	{"UTF-16 with a byte order mark", JSON_BAD_ENCODING, TEXT("\xFF\xFE{\0\"\0k\0\"\0:\0001\0}\0")},
	{"UTF-16 without", JSON_BAD_ENCODING, TEXT("{\0\"\0k\0\"\0:\0001\0}\0")},
	{"UTF-8 of four bytes", JSON_OK, TEXT("{\"k\": \"\xF0\x9F\x98\x80\"}")},
	{"UTF-8 of two and three bytes", JSON_OK, TEXT("{\"\xC3\xA9\": \"\xE2\x82\xAC\xED\x9F\xBF\"}")},
};

static const ValueCase value_cases[] = {
	{"{\"a\":\"v\"}", "a", JSON_STRING, "v"},
	{"{\"a\":\"\"}", "a", JSON_STRING, ""},
	{"{\"a\" : \"v\" , \"b\":1}", "a", JSON_STRING, "v"},
	{"{\"a\":\" v \"}", "a", JSON_STRING, " v "},
	{"{\"b\":\"v\"}", "a", JSON_MISSING, NULL},
	{"{}", "a", JSON_MISSING, NULL},
	{"{\"a\":null}", "a", JSON_NULL, NULL},
	{"{\"a\":true}", "a", JSON_TRUE, "true"},
	{"{\"a\": false }", "a", JSON_FALSE, "false"},
	{"{\"a\":1e999999}", "a", JSON_NUMBER, "1e999999"},
	{"{\"a\": -0.00 }", "a", JSON_NUMBER, "-0.00"},
	{"{\"a\":12345678901234567890123}", "a", JSON_NUMBER, "12345678901234567890123"},
	{"{\"a\":\"\xC3\xA9\"}", "a", JSON_STRING, "\xC3\xA9"},
	{"{\"a\":[]}", "a", JSON_ARRAY, "[]"},
	{"{\"a\": [ 1, \"\\u0041\" ] }", "a", JSON_ARRAY, "[ 1, \"\\u0041\" ]"},
	{"{\"a\":{ }}", "a", JSON_OBJECT, "{ }"},
	{"{\"a\": {\"b\":[{}]} , \"b\":2}", "a", JSON_OBJECT, "{\"b\":[{}]}"},
	{"\xEF\xBB\xBF{\"a\":\"v\"}", "a", JSON_STRING, "v"},

	/* the document itself, a path without steps */
	{" {\"a\": 1} ", "", JSON_OBJECT, "{\"a\": 1}"},
	{"{}", "", JSON_OBJECT, "{}"},

	/* nested paths, and paths one within the other */
	{"{\"u\":{\"ip\":\"x\"}}", "u.ip", JSON_STRING, "x"},
	{"{\"u\":{\"ip\":\"x\\n\"}}", "u", JSON_OBJECT, "{\"ip\":\"x\\n\"}"},
	{"{\"u\":{\"ip\":\"x\\n\"}}", "u.ip", JSON_STRING, "x\n"},
	{"{\"u\":{\"b\":{\"c\":{\"d\":7}}}}", "u.b.c.d", JSON_NUMBER, "7"},
	{"{\"u\":{\"b\":{\"c\":{\"d\":7}}}}", "u.b.c", JSON_OBJECT, "{\"d\":7}"},
	{"{\"u\":{\"b\":{\"d\":7}}}", "u.b.c.d", JSON_MISSING, NULL},
	{"{\"ip\":1,\"u\":{}}", "u.ip", JSON_MISSING, NULL},
	{"{\"v\":{\"u\":{\"ip\":1}}}", "u.ip", JSON_MISSING, NULL},
	{"{\"u\":{\"u\":{\"ip\":1}}}", "u.ip", JSON_MISSING, NULL},
	{"{\"u\":[{\"ip\":1}]}", "u.ip", JSON_MISSING, NULL},
	{"{\"u\":\"ip\"}", "u.ip", JSON_MISSING, NULL},
	{"{\"u\":null}", "u.ip", JSON_MISSING, NULL},
	{"{\"u\":{\"ip\":null}}", "u.ip", JSON_NULL, NULL},
	{"{\"u\":{\"x\":{\"ip\":1},\"ip\":2},\"a\":3}", "u.ip", JSON_NUMBER, "2"},
	{"{\"u\":{\"x\":{\"ip\":1},\"ip\":2},\"a\":3}", "a", JSON_NUMBER, "3"},
	{"{\"u.ip\":1}", "u.ip", JSON_MISSING, NULL},

	/* duplicate keys: the last */
	{"{\"a\":1,\"a\":2}", "a", JSON_NUMBER, "2"},
	{"{\"a\":1,\"b\":0,\"a\":null}", "a", JSON_NULL, NULL},
	{"{\"a\":\"\\n\",\"a\":\"\\t\"}", "a", JSON_STRING, "\t"},
	{"{\"a\":1,\"\\u0061\":2}", "a", JSON_NUMBER, "2"},
	{"{\"u\":{\"a\":1},\"u\":{\"b\":2}}", "u.a", JSON_MISSING, NULL},
	{"{\"u\":{\"a\":1},\"u\":{\"b\":2}}", "u", JSON_OBJECT, "{\"b\":2}"},
	{"{\"u\":{\"a\":1},\"u\":{\"a\":2}}", "u.a", JSON_NUMBER, "2"},
	{"{\"u\":{\"a\":1},\"u\":3}", "u.a", JSON_MISSING, NULL},
	{"{\"u\":{\"a\":1},\"u\":3}", "u", JSON_NUMBER, "3"},
	{"{\"u\":{\"a\":1},\"u\":[]}", "u.a", JSON_MISSING, NULL},
	{"{\"u\":3,\"u\":{\"a\":1}}", "u.a", JSON_NUMBER, "1"},
	{"{\"u\":{\"b\":{\"c\":{\"d\":7}}},\"u\":{}}", "u.b.c.d", JSON_MISSING, NULL},
	{"{\"u\":{\"b\":{\"c\":{\"d\":7}},\"b\":{}}}", "u.b.c", JSON_MISSING, NULL},
	{"{\"u\":{\"a\":1,\"b\":{},\"a\":2}}", "u.a", JSON_NUMBER, "2"},

	/* keys */
	{"{\"\\u0061\":1}", "a", JSON_NUMBER, "1"},
	{"{\"\\u0075\":{\"\\u0069\\u0070\":1}}", "u.ip", JSON_NUMBER, "1"},
	{"{\"A\":1}", "a", JSON_MISSING, NULL},
	{"{\"a \":1}", "a", JSON_MISSING, NULL},
	{"{\"aa\":1}", "a", JSON_MISSING, NULL},
	{"{\"\":1}", "a", JSON_MISSING, NULL},
	{"{\"eight888\":1}", "eight888", JSON_NUMBER, "1"},
	{"{\"nine99999\":1}", "nine99999", JSON_NUMBER, "1"},
	{"{\"nine99998\":1}", "nine99999", JSON_MISSING, NULL},
	{"{\"sixteen_sixteen_\":1}", "sixteen_sixteen_", JSON_NUMBER, "1"},
	{"{\"sixteen_Sixteen_\":1}", "sixteen_sixteen_", JSON_MISSING, NULL},
	{"{\"a_key_longer_than_two_words\":1}", "a_key_longer_than_two_words", JSON_NUMBER, "1"},
	{"{\"a_key_longer_thAn_two_words\":1}", "a_key_longer_than_two_words", JSON_MISSING, NULL},
	{"{\"caf\xC3\xA9\":1}", "caf\xC3\xA9", JSON_NUMBER, "1"},
	{"{\"caf\\u00E9\":1}", "caf\xC3\xA9", JSON_NUMBER, "1"},
	{"{\"b\":1,\"a\":2}", "a", JSON_NUMBER, "2"},

	/* escapes */
	{"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "a", JSON_STRING, "\"\\/\b\f\n\r\t"},
	{"{\"a\":\"x\\u0041y\\u00e9z\\u20AC\"}", "a", JSON_STRING, "xAy\xC3\xA9z\xE2\x82\xAC"},
	{"{\"a\":\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"}", "a", JSON_STRING,
	 "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
	{"{\"a\":\"\\ud83d\\ude00\\uD800\\uDC00\"}", "a", JSON_STRING,
	 "\xF0\x9F\x98\x80\xF0\x90\x80\x80"},
	{"{\"a\":\"\\\\u0000\"}", "a", JSON_STRING, "\\u0000"},
	{"{\"z\":\"\\n\",\"a\":\"plain\",\"b\":\"\\t\"}", "a", JSON_STRING, "plain"},
	{"{\"z\":\"\\n\",\"a\":\"\\r\",\"b\":\"\\t\"}", "a", JSON_STRING, "\r"},
	{"{\"z\":\"\\n\",\"a\":\"\\r\",\"b\":\"\\t\"}", "b", JSON_STRING, "\t"},
};

#endif
