/*
 * clock.c - finds the words that read the clock: the same record gives the same value always.
 *
 * In a JSON array or object only the strings that go to times are looked at.  A string that holds
 * several values, such as '{now}' for an array or '[today,)' for a range, is looked at as a whole.
 */
#include "postgres.h"

#include "shape.h"

#define LONGEST_WORD 9

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* Zones but these are looked up for the current date when a time with time zone has none. */
static bool
word_reads_clock(const char *word, bool zoned)
{
	static const char *const clock[] = {"now", "today", "tomorrow", "yesterday", NULL};
	static const char *const harmless[] = {"t",	 "z",		 "zulu", "utc",	  "gmt", "am",
										   "pm", "allballs", "null", "empty", NULL};

	return is_one_of(word, clock) || (zoned && !is_one_of(word, harmless));
}

/* Quotes and backslashes are passed over: within a literal of several values they vanish. */
bool
shape_text_reads_clock(const Shape *shape, const char *text, size_t length)
{
	char word[LONGEST_WORD + 2] = "";
	size_t letters = 0;

	if (!shape->reads_clock)
		return false;
	for (size_t i = 0; i <= length; i++)
	{
		char c = i < length ? text[i] : ' ';

		if (c == '"' || c == '\\')
			continue;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		{
			if (letters <= LONGEST_WORD)
				word[letters++] = c | 0x20;
			continue;
		}
		word[letters] = '\0';
		if (letters > 0 && word_reads_clock(word, shape->zoned))
			return true;
		letters = 0;
	}
	return false;
}

static bool
elements_read_clock(const Shape *shape, JsonbContainer *container)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue element;

	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		/* an array in an array is a further dimension, or an element that is a domain of arrays */
		if (shape_jsonb_reads_clock(shape->parts[0], &element) ||
			(element.type == jbvBinary && shape_jsonb_reads_clock(shape, &element)))
			return true;
	}
	return false;
}

static bool
attributes_read_clock(const Shape *shape, JsonbContainer *container)
{
	for (int i = 0; i < shape->nparts; i++)
	{
		JsonbValue *found;

		if (!shape->parts[i]->reads_clock)
			continue;
		found =
			getKeyJsonValueFromContainer(container, shape->names[i], strlen(shape->names[i]), NULL);
		if (found && shape_jsonb_reads_clock(shape->parts[i], found))
			return true;
	}
	return false;
}

/* What does not have the form of the type is left to its input to refuse. */
bool
shape_jsonb_reads_clock(const Shape *shape, const JsonbValue *value)
{
	if (!shape->reads_clock)
		return false;
	if (value->type == jbvString)
		return shape_text_reads_clock(shape, value->val.string.val, value->val.string.len);
	if (value->type != jbvBinary)
		return false;
	if (shape->kind == SHAPE_ARRAY && JsonContainerIsArray(value->val.binary.data))
		return elements_read_clock(shape, value->val.binary.data);
	if (shape->kind == SHAPE_COMPOSITE && JsonContainerIsObject(value->val.binary.data))
		return attributes_read_clock(shape, value->val.binary.data);
	return false;
}
