/*
 * offsets.c - reads {"partition": offset, …}, of an option or of an argument.
 */
#include "postgres.h"

#include "offsets.h"
#include "streamagg.h"

static const char *
skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* The character, with blanks around it. */
static bool
take(const char **at, char wanted)
{
	const char *found = skip_blanks(*at);

	if (*found != wanted)
		return false;
	*at = skip_blanks(found + 1);
	return true;
}

static bool
take_number(const char **at, int64 limit, int64 *number)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*number = strtoll(*at, &end, 10);
	*at = end;
	return errno == 0 && *number <= limit;
}

static bool
take_pair(const char **at, int32 *partition, int64 *offset)
{
	int64 number;

	if (!take(at, '"') || !take_number(at, PG_INT32_MAX, &number) || **at != '"')
		return false;
	*partition = (int32) number;
	(*at)++;
	return take(at, ':') && take_number(at, PG_INT64_MAX - 1, offset);
}

bool
offsets_parse(const char *text, Offsets *offsets)
{
	Size most = strlen(text) / 5 + 1; /* "0":1 */
	const char *at = text;

	offsets->count = 0;
	offsets->partitions = palloc(sizeof(int32) * most);
	offsets->offsets = palloc(sizeof(int64) * most);
	if (!take(&at, '{'))
		return false;
	if (take(&at, '}'))
		return *at == '\0';
	do
	{
		if (!take_pair(&at, &offsets->partitions[offsets->count],
					   &offsets->offsets[offsets->count]))
			return false;
		offsets->count++;
	} while (take(&at, ','));
	return take(&at, '}') && *at == '\0';
}

Offsets
offsets_of_jsonb(Jsonb *value)
{
	Offsets offsets;

	if (!offsets_parse(JsonbToCString(NULL, &value->root, VARSIZE(value)), &offsets))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument offsets must be an object of partitions and offsets"),
						errhint("For example '{\"0\": 42, \"1\": 7}'.")));
	return offsets;
}
