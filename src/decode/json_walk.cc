/*
 * json_walk.cc: one walk over a document's tokens, which checks each of them and its
 * place, and keeps the values that are wanted.
 *
 * It accepts exactly what jsonb accepts as an object.  It does not say why it refuses
 * (json_verdict.c does), does not recurse over the document, allocates nothing, and
 * knows neither PostgreSQL nor simdjson.  Called by json.cc.
 */
#include "json_walk.h"

#include <cstring>

namespace
{

/* An object or array that is open. */
struct Level
{
	JsonMembers *wanted; /* NULL: nothing inside it */
	uint32_t start;		 /* offset of its bracket */
	int32_t value;		 /* whose value it is, or JSON_NOT_WANTED */
	char closer;
};

/*
 * Where the walk is.  Only inlined functions take it by reference, so that the compiler
 * keeps it in registers: that makes the walk a third cheaper.
 */
struct Walk
{
	const char *text;
	const uint32_t *token;
	char *spare; /* where the next unescaped string goes; NULL: no escapes here */
	JsonValue *values;
	Level *level; /* of what is open: the innermost */
};

JsonHead
load_head(const char *key)
{
	JsonHead head;

	memcpy(&head, key, sizeof(head));
	return head;
}

bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

inline char
token_char(const Walk &walk)
{
	return walk.text[*walk.token];
}

/* The whole of the current token, which is not the blank past the last one. */
inline std::string_view
token_text(const Walk &walk)
{
	const char *start = walk.text + walk.token[0];
	const char *end = walk.text + walk.token[1];

	while (is_space(end[-1]))
		end--;
	return {start, static_cast<size_t>(end - start)};
}

/* ---- strings ---- */

/* The value of four hex digits, -1 when they are not. */
int
hex_value(const char *p, const char *end)
{
	int code = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char letter = p[i] | 0x20;

		if (is_digit(p[i]))
			code = code << 4 | (p[i] - '0');
		else if (letter >= 'a' && letter <= 'f')
			code = code << 4 | (letter - 'a' + 10);
		else
			return -1;
	}
	return code;
}

char *
append_utf8(char *out, int code)
{
	if (code < 0x80)
	{
		*out++ = static_cast<char>(code);
		return out;
	}
	if (code < 0x800)
		*out++ = static_cast<char>(0xC0 | code >> 6);
	else
	{
		if (code < 0x10000)
			*out++ = static_cast<char>(0xE0 | code >> 12);
		else
		{
			*out++ = static_cast<char>(0xF0 | code >> 18);
			*out++ = static_cast<char>(0x80 | (code >> 12 & 0x3F));
		}
		*out++ = static_cast<char>(0x80 | (code >> 6 & 0x3F));
	}
	*out++ = static_cast<char>(0x80 | (code & 0x3F));
	return out;
}

/* \u and its digits, for a character beyond U+FFFF two of them; p is behind the u. */
const char *
resolve_unicode(const char *p, const char *end, char **out)
{
	int code = hex_value(p, end);

	p += 4;
	if (code >= 0xD800 && code <= 0xDBFF)
	{
		int low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex_value(p + 2, end) : -1;

		if (low < 0xDC00 || low > 0xDFFF)
			return nullptr;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		p += 6;
	}
	else if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
		return nullptr;
	*out = append_utf8(*out, code);
	return p;
}

/* One escape; p is behind the backslash.  Returns what follows it, NULL for a fault. */
const char *
resolve_escape(const char *p, const char *end, char **out)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";

	if (p == end)
		return nullptr;
	if (*p == 'u')
		return resolve_unicode(p + 1, end, out);

	const void *letter = memchr(letters, *p, sizeof(letters) - 1);

	if (letter == nullptr)
		return nullptr;
	*(*out)++ = meanings[static_cast<const char *>(letter) - letters];
	return p + 1;
}

/*
 * The string without its escapes, written to out; the end of what was written, or NULL
 * for a fault.  No string grows by it.  Not inlined: it would cost the walk its registers.
 */
__attribute__((noinline)) char *
resolve_escapes(std::string_view string, char *out)
{
	const char *p = string.data();
	const char *end = p + string.size();
	const void *escape;

	while ((escape = memchr(p, '\\', end - p)) != nullptr)
	{
		size_t plain = static_cast<const char *>(escape) - p;

		memcpy(out, p, plain);
		out += plain;
		p = resolve_escape(p + plain + 1, end, &out);
		if (p == nullptr)
			return nullptr;
	}
	memcpy(out, p, end - p);
	return out + (end - p);
}

/*
 * The current token, which begins with a quote, as a string.  What lies between its
 * quotes was checked when the tokens were listed, all but the escapes.  Each string is
 * resolved once, keys and what is not wanted too, so the spare buffer has room.
 */
inline bool
read_string(Walk &walk, std::string_view *string)
{
	const char *start = walk.text + walk.token[0] + 1;
	const char *end = walk.text + walk.token[1] - 1;
	char *out_end;

	while (is_space(*end))
		end--;
	if (*end != '"' || end < start)
		return false;
	*string = {start, static_cast<size_t>(end - start)};
	if (walk.spare == nullptr || memchr(start, '\\', end - start) == nullptr)
		return true;
	out_end = resolve_escapes(*string, walk.spare);
	if (out_end == nullptr)
		return false;
	*string = {walk.spare, static_cast<size_t>(out_end - walk.spare)};
	walk.spare = out_end;
	return true;
}

/* ---- numbers ---- */

/* What follows the digits at p, NULL when there are none; a text's end is no digit. */
const char *
skip_digits(const char *p)
{
	if (!is_digit(*p))
		return nullptr;
	while (is_digit(*p))
		p++;
	return p;
}

/* jsonb's numbers are numeric's: of any size, judged where they go. */
bool
is_number(std::string_view token)
{
	const char *p = token.data();

	if (*p == '-')
		p++;
	p = *p == '0' ? p + 1 : skip_digits(p);
	if (p != nullptr && *p == '.')
		p = skip_digits(p + 1);
	if (p != nullptr && (*p == 'e' || *p == 'E'))
	{
		p++;
		p = skip_digits(*p == '+' || *p == '-' ? p + 1 : p);
	}
	return p == token.data() + token.size();
}

/* ---- the walk ---- */

inline void
keep_value(JsonValue *values, int32_t index, JsonKind kind, std::string_view text)
{
	if (index == JSON_NOT_WANTED)
		return;
	if (kind == JSON_NULL)
		text = {};
	values[index] = {kind, static_cast<uint32_t>(text.size()), text.data()};
}

/* What is no object where a path goes on: no path holds it, unless one ends here, too. */
inline void
note_dead_end(const JsonField *field)
{
	if (field->inside && field->value == JSON_NOT_WANTED)
		field->inside->left_rest = true;
}

/*
 * An earlier object of the same key may have left values that this one lacks.  Recurses
 * over the paths, not over the document.
 */
void
forget_values(JsonValue *values, const JsonMembers &members)
{
	for (const JsonField &field : members.fields)
	{
		keep_value(values, field.value, JSON_MISSING, {});
		if (field.inside)
			forget_values(values, *field.inside);
	}
}

/* Of a key longer than one JsonHead the last bytes are compared before those between. */
inline bool
has_key(const JsonField &field, std::string_view key)
{
	const char *wanted = field.key.data();
	size_t length = key.size();
	constexpr size_t word = sizeof(JsonHead);

	if (field.key.size() != length || (load_head(key.data()) & field.head_mask) != field.head)
		return false;
	if (length <= word)
		return true;
	return load_head(key.data() + length - word) == load_head(wanted + length - word) &&
		   (length <= 2 * word || memcmp(key.data(), wanted, length) == 0);
}

/* NULL when the key is none of these. */
inline const JsonField *
search_field(const JsonMembers &members, std::string_view key)
{
	if ((members.key_bits & json_key_bit(key)) == 0)
		return nullptr;
	for (const JsonField &field : members.fields)
		if (has_key(field, key))
			return &field;
	return nullptr;
}

/* Messages of a topic mostly have the same keys in the same order: look there first. */
inline const JsonField *
find_field(JsonMembers &members, std::string_view key)
{
	const JsonField *field = members.expected;

	if (!has_key(*field, key))
		field = search_field(members, key);
	if (field != nullptr)
		members.expected = field->next;
	else
		members.left_rest = true;
	return field;
}

/* A key and its colon; *field stays as it was when nothing is wanted of it. */
inline bool
read_key(Walk &walk, const JsonField **field)
{
	std::string_view key;

	if (token_char(walk) != '"' || walk.text[walk.token[1]] != ':' || !read_string(walk, &key))
		return false;
	walk.token += 2;
	if (walk.level->wanted == nullptr)
		return true;
	*field = find_field(*walk.level->wanted, key);
	if (*field != nullptr && (*field)->inside)
		forget_values(walk.values, *(*field)->inside);
	return true;
}

/* JSON_MISSING: neither a word nor a number. */
JsonKind
scalar_kind(std::string_view text)
{
	if (text == "true")
		return JSON_TRUE;
	if (text == "false")
		return JSON_FALSE;
	if (text == "null")
		return JSON_NULL;
	return is_number(text) ? JSON_NUMBER : JSON_MISSING;
}

/* The current token as a string, number or word; a token past the last one is none. */
inline bool
read_scalar(Walk &walk, const JsonField *field)
{
	std::string_view text;
	JsonKind kind = JSON_STRING;

	if (token_char(walk) == '"')
	{
		if (!read_string(walk, &text))
			return false;
	}
	else
	{
		if (token_char(walk) == ' ')
			return false;
		text = token_text(walk);
		kind = scalar_kind(text);
		if (kind == JSON_MISSING)
			return false;
	}
	if (field != nullptr)
	{
		keep_value(walk.values, field->value, kind, text);
		note_dead_end(field);
	}
	walk.token++;
	return true;
}

/* False: the document is too deep; "bottom" is where the levels begin. */
inline bool
open_level(Walk &walk, const Level *bottom, const JsonField *field)
{
	bool object = token_char(walk) == '{';

	if (walk.level == bottom + JSON_MAX_DEPTH)
		return false;
	if (!object && field != nullptr)
		note_dead_end(field);
	*++walk.level = {object && field != nullptr ? field->inside.get() : nullptr, *walk.token++,
					 field != nullptr ? field->value : JSON_NOT_WANTED, object ? '}' : ']'};
	return true;
}

/* Passes the bracket, and keeps the text from its partner on. */
inline void
close_level(Walk &walk)
{
	const Level &level = *walk.level--;
	const char *start = walk.text + level.start;
	const char *end = walk.text + *walk.token++ + 1;

	keep_value(walk.values, level.value, level.closer == '}' ? JSON_OBJECT : JSON_ARRAY,
			   {start, static_cast<size_t>(end - start)});
}

/*
 * Closes what closes here.  False when no comma follows: the document is at its end, or
 * not as it should be.
 */
inline bool
close_levels(Walk &walk, const Level *bottom)
{
	while (walk.level > bottom && token_char(walk) == walk.level->closer)
		close_level(walk);
	return walk.level > bottom && token_char(walk) == ',';
}

inline bool
is_at_end(const Walk &walk, const Level *bottom)
{
	return walk.level == bottom && token_char(walk) == ' ';
}

} /* namespace */

/*
 * Each turn reads a key, if in an object, and a scalar or opening bracket.  The lowest
 * level is no bracket's: it holds the document.
 */
bool
json_walk(const JsonTokens &tokens, const JsonField &root, JsonValue *values)
{
	Level levels[JSON_MAX_DEPTH + 1];
	bool escapes = memchr(tokens.text, '\\', tokens.length) != nullptr;
	Walk walk = {tokens.text, tokens.offsets, escapes ? tokens.spare : nullptr, values, levels};

	if (token_char(walk) != '{')
		return false;
	open_level(walk, levels, &root);
	if (token_char(walk) == '}')
		return !close_levels(walk, levels) && is_at_end(walk, levels);
	for (;;)
	{
		const JsonField *field = nullptr;

		if (walk.level->closer == '}' && !read_key(walk, &field))
			return false;
		if (token_char(walk) == '{' || token_char(walk) == '[')
		{
			if (!open_level(walk, levels, field))
				return false;
			if (token_char(walk) != walk.level->closer)
				continue;
		}
		else if (!read_scalar(walk, field))
			return false;
		if (token_char(walk) != ',' && !close_levels(walk, levels))
			return is_at_end(walk, levels);
		walk.token++;
	}
}
