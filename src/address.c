/*
 * address.c - reads and prints IP addresses for protection: pseudonyms and networks are made of
 * them, so every spelling of a host must come to one.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/socket.h>

#include "utils/builtins.h"
#include "utils/inet.h"

#include "address.h"

#define GROUPS 8

/* A decimal part of a dotted address that begins with a zero it does not need. */
static bool
has_padded_part(const char *text)
{
	for (const char *at = text; *at && *at != '/'; at++)
	{
		size_t digits = strspn(at, "0123456789");
		bool starts = at == text || at[-1] == '.' || at[-1] == ':';

		if (starts && *at == '0' && digits > 1 &&
			(at[digits] == '.' || (at > text && at[-1] == '.')))
			return true;
	}
	return false;
}

/* Four parts of one to three digits without padding, as nearly all are written; false for any other form. */
static bool
parse_usual(const char *text, size_t length, Address *address)
{
	const char *end = text + length;

	for (int i = 0; i < 4; i++)
	{
		const char *start = text;
		unsigned part = 0;

		while (text < end && text - start < 3 && *text >= '0' && *text <= '9')
			part = part * 10 + (unsigned) (*text++ - '0');
		if (text == start || part > 255 || (*start == '0' && text - start > 1) ||
			(i < 3 && (text == end || *text++ != '.')))
			return false;
		address->bytes[i] = (uint8) part;
	}
	address->length = 4;
	return text == end;
}

bool
address_parse(const char *text, size_t length, Address *address)
{
	char copy[64];
	bool is_long;

	if (parse_usual(text, length, address))
		return true;
	for (; length > 0 && isspace((unsigned char) *text); length--)
		text++;
	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	if (length >= sizeof(copy) || memchr(text, '\0', length) != NULL)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	is_long = strchr(copy, ':') != NULL;
	address->length = is_long ? 16 : 4;
	return !has_padded_part(copy) && pg_inet_net_pton(is_long ? PGSQL_AF_INET6 : PGSQL_AF_INET,
													  copy, address->bytes, -1) >= 0;
}

void
address_unmap(Address *address)
{
	static const uint8 prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (address->length != 16 || memcmp(address->bytes, prefix, sizeof(prefix)) != 0)
		return;
	memmove(address->bytes, address->bytes + sizeof(prefix), 4);
	address->length = 4;
}

void
address_truncate(Address *address, int bits)
{
	for (int i = 0; i < address->length; i++)
		if (i * 8 >= bits)
			address->bytes[i] = 0;
}

/* The longest run of at least two zero groups, the first of equals; length 0: none. */
static void
find_zeros(const uint16 *groups, int *start, int *length)
{
	*start = -1;
	*length = 1;
	for (int i = 0; i < GROUPS; i++)
	{
		int end = i;

		while (end < GROUPS && groups[end] == 0)
			end++;
		if (end - i > *length)
		{
			*start = i;
			*length = end - i;
		}
		i = Max(i, end);
	}
	if (*start < 0)
		*length = 0;
}

static size_t
print_long(const uint8 *bytes, char *text)
{
	uint16 groups[GROUPS];
	char *at = text;
	int start;
	int length;

	for (int i = 0; i < GROUPS; i++)
		groups[i] = (uint16) (bytes[2 * i] << 8 | bytes[2 * i + 1]);
	find_zeros(groups, &start, &length);
	for (int i = 0; i < GROUPS; i++)
	{
		if (i == start)
		{
			at += sprintf(at, "::");
			i += length - 1;
			continue;
		}
		if (at > text && at[-1] != ':')
			*at++ = ':';
		at += sprintf(at, "%x", groups[i]);
	}
	*at = '\0';
	return at - text;
}

size_t
address_print(const Address *address, char text[ADDRESS_TEXT_LENGTH])
{
	char *at = text;

	if (address->length == 16)
		return print_long(address->bytes, text);
	for (int i = 0; i < 4; i++)
	{
		if (i > 0)
			*at++ = '.';
		at += pg_ultoa_n(address->bytes[i], at);
	}
	*at = '\0';
	return at - text;
}
