/*
 * value_shim.c: the few functions of PostgreSQL that number.c, time.c and path.c call, by their
 * contracts, so that these can run, and be fuzzed, without a server.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/datetime.h"

#include "value_shim.h"

/* What was palloc'd, newest first. */
typedef struct Chunk
{
	struct Chunk *next;
	size_t size;
	char data[FLEXIBLE_ARRAY_MEMBER];
} Chunk;

static Chunk *chunks;

const int day_tab[2][13] = {{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
							{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0}};

void *
palloc(Size size)
{
	Chunk *chunk = malloc(offsetof(Chunk, data) + size);

	if (chunk == NULL)
		abort();
	chunk->next = chunks;
	chunk->size = size;
	chunks = chunk;
	return chunk->data;
}

void
shim_reset(void)
{
	while (chunks != NULL)
	{
		Chunk *chunk = chunks;

		chunks = chunk->next;
		free(chunk);
	}
}

void
initStringInfo(StringInfo str)
{
	str->maxlen = 16;
	str->data = palloc(str->maxlen);
	str->data[0] = '\0';
	str->len = 0;
	str->cursor = 0;
}

void
appendStringInfoChar(StringInfo str, char ch)
{
	if (str->len + 1 >= str->maxlen)
	{
		char *larger = palloc(2 * str->maxlen);

		memcpy(larger, str->data, str->len);
		str->data = larger;
		str->maxlen *= 2;
	}
	str->data[str->len++] = ch;
	str->data[str->len] = '\0';
}

List *
lappend(List *list, void *datum)
{
	int length = list_length(list);
	List *longer = palloc(offsetof(List, initial_elements));

	longer->type = T_List;
	longer->length = longer->max_length = length + 1;
	longer->elements = palloc((length + 1) * sizeof(ListCell));
	if (length > 0)
		memcpy(longer->elements, list->elements, length * sizeof(ListCell));
	longer->elements[length].ptr_value = datum;
	return longer;
}

int
pg_strncasecmp(const char *s1, const char *s2, size_t n)
{
	for (; n > 0; n--, s1++, s2++)
	{
		int difference = pg_tolower(*s1) - pg_tolower(*s2);

		if (difference != 0 || *s1 == '\0')
			return difference;
	}
	return 0;
}

unsigned char
pg_tolower(unsigned char ch)
{
	return ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch;
}

/* Julian days; years from 1 on, months within their range. */
int
date2j(int year, int month, int day)
{
	int before = year - 1; /* so many years have gone since the year 1 */
	int days = 1721425 + before * 365 + before / 4 - before / 100 + before / 400;

	for (int i = 0; i < month - 1; i++)
		days += day_tab[isleap(year)][i];
	return days + day;
}
