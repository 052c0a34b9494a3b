/*
 * memo.c - short values that were found good, so that the next of the same bytes need no look.
 *
 * Columns with a CHECK mostly have few different values, and evaluating an expression costs many times
 * what comparing a few bytes does.  One slot a hash, the last value stays: nothing is ever searched,
 * and a column with many values loses little.  Only for verdicts that depend on the bytes alone.
 */
#include "postgres.h"

#include "compat.h"
#include "memo.h"

#define SLOTS 256
#define LONGEST 31

typedef struct Slot
{
	uint8 length; /* 0: empty */
	char bytes[LONGEST];
} Slot;

struct Memo
{
	int16 length; /* typlen */
	bool by_value;
	Slot slots[SLOTS];
};

Memo *
memo_create(int16 length, bool by_value)
{
	Memo *memo = palloc0(sizeof(Memo));

	memo->length = length;
	memo->by_value = by_value;
	return memo;
}

void
memo_forget(Memo *memo)
{
	memset(memo->slots, 0, sizeof(memo->slots));
}

/* The bytes of a value; none when they are too many. */
static size_t
bytes_of(const Memo *memo, const Datum *value, const char **bytes)
{
	size_t length = memo->length;

	*bytes = memo->by_value ? (const char *) value : DatumGetPointer(*value);
	if (memo->by_value)
		return sizeof(Datum);
	if (memo->length == -1)
	{
		if (VARATT_IS_EXTENDED(*bytes) && !VARATT_IS_SHORT(*bytes))
			return 0;
		length = VARSIZE_ANY(*bytes);
	}
	return memo->length < -1 || length > LONGEST ? 0 : length;
}

/* The first and the last bytes stand for all, as in most sets of labels they differ. */
static uint32
slot_of(const char *bytes, size_t length)
{
	uint64 head = 0;
	uint64 tail = 0;
	size_t part = Min(length, sizeof(uint64));

	memcpy(&head, bytes, part);
	memcpy(&tail, bytes + length - part, part);
	return (uint32) (((head ^ (tail * 31) ^ length) * UINT64CONST(0x9e3779b97f4a7c15)) >> 56) %
		   SLOTS;
}

bool
memo_has(const Memo *memo, Datum value)
{
	const char *bytes;
	size_t length = bytes_of(memo, &value, &bytes);
	const Slot *slot;

	if (length == 0)
		return false;
	slot = &memo->slots[slot_of(bytes, length)];
	return slot->length == length && memcmp(slot->bytes, bytes, length) == 0;
}

void
memo_keep(Memo *memo, Datum value)
{
	const char *bytes;
	size_t length = bytes_of(memo, &value, &bytes);
	Slot *slot;

	if (length == 0)
		return;
	slot = &memo->slots[slot_of(bytes, length)];
	slot->length = (uint8) length;
	memcpy(slot->bytes, bytes, length);
}
