/*
 * path.c - reads the path option.  It knows no document; json.cc walks one.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "path.h"

/* A quoted key from behind its first quote; NULL without an end. */
static const char *
read_quoted(const char *at, StringInfo key)
{
	for (; *at; at++)
	{
		if (*at == '"' && *++at != '"')
			return at;
		appendStringInfoChar(key, *at);
	}
	return NULL;
}

static const char *
read_plain(const char *at, StringInfo key)
{
	while (*at && *at != '.' && *at != '"')
		appendStringInfoChar(key, *at++);
	return key->len > 0 ? at : NULL;
}

List *
path_parse(const char *text)
{
	List *keys = NIL;

	for (;;)
	{
		StringInfoData key;

		initStringInfo(&key);
		text = *text == '"' ? read_quoted(text + 1, &key) : read_plain(text, &key);
		if (text == NULL)
			return NIL;
		keys = lappend(keys, key.data);
		if (*text == '\0')
			return keys;
		if (*text++ != '.')
			return NIL;
	}
}
