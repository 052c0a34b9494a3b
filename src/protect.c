/*
 * protect.c - the clear value ends here.
 *
 * A protected value is never converted first, never compared, never stored: its text goes through
 * its canonical form into a pseudonym, a network or a mask, and the column's type is the form of
 * that.  Who calls it: record.c, and pseudonym().
 */
#include "postgres.h"

#include <sys/socket.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/uuid.h"

#include "address.h"
#include "compat.h"
#include "options.h"
#include "protect.h"
#include "streamagg.h"

#define BAD_VALUE ERRCODE_INVALID_TEXT_REPRESENTATION
#define SHOWN_CHARACTERS 4
#define SHORTEST_SHOWN 9
#define NETWORK_BITS(address) ((address)->length == 4 ? 24 : 48)

const char *const protect_kinds[] = {"hmac", "sha256", "truncate", "mask", "drop", NULL};
const char *const protect_canonicals[] = {"none", "lower", "inet", NULL};

/* A clear value on its way; text may point into buffer. */
typedef struct Clear
{
	const char *text;
	size_t length;
	char buffer[ADDRESS_TEXT_LENGTH];
} Clear;

/* ---------------------------------------------------------------- options */

static int
place_of(const char *word, const char *const *words)
{
	int place = 0;

	while (words[place] && strcmp(words[place], word) != 0)
		place++;
	return place;
}

static void
refuse_options(const char *column, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					errmsg("the protection of column \"%s\" cannot work", column),
					errdetail("%s", detail), hint ? errhint("%s", hint) : 0));
}

static void
check_type(const Protection *protection, const char *column)
{
	Oid type = protection->type;

	switch (protection->kind)
	{
		case PROTECT_HMAC:
		case PROTECT_SHA256:
			if (type != TEXTOID && type != BYTEAOID && type != UUIDOID)
				refuse_options(column, "A digest needs a column of type text, bytea or uuid.",
							   "The type is the form of the result: 64 hex digits, 32 bytes, or "
							   "the first 128 bits.");
			break;
		case PROTECT_TRUNCATE:
			if (type != TEXTOID && type != INETOID && type != CIDROID)
				refuse_options(column, "truncate needs a column of type text, inet or cidr.", NULL);
			break;
		case PROTECT_MASK:
			if (type != TEXTOID)
				refuse_options(column, "mask needs a column of type text.", NULL);
			break;
		default:
			break;
	}
}

static void
check_companions(const Protection *protection, const char *column, List *options)
{
	bool keyed = protection->kind == PROTECT_HMAC;

	if (keyed && protection->key_name == NULL)
		refuse_options(column, "hmac needs the option protect_key.",
					   "streamagg.create_key() makes a key.");
	if (!keyed && protection->key_name != NULL)
		refuse_options(column, "Only hmac has a protect_key.", NULL);
	if (!keyed && options_get(options, "domain", NULL) != NULL)
		refuse_options(column, "Only hmac has a domain.", NULL);
	if (options_get(options, "encoding", NULL) != NULL)
		refuse_options(column,
					   "A protected column has no encoding: its text is protected as it is.", NULL);
}

void
protect_init(Protection *protection, const char *column, Oid type, List *options)
{
	const char *kind = options_get(options, "protect", NULL);
	const char *canonical = options_get(options, "canonical", NULL);
	const char *key_name = options_get(options, "protect_key", NULL);

	memset(protection, 0, sizeof(*protection));
	if (kind == NULL)
	{
		if (canonical || key_name || options_get(options, "domain", NULL))
			refuse_options(column, "It has options of a protection, but not protect itself.", NULL);
		return;
	}
	protection->kind = PROTECT_HMAC + place_of(kind, protect_kinds);
	protection->canonical =
		canonical ? CANONICAL_NONE + place_of(canonical, protect_canonicals) : CANONICAL_NONE;
	protection->type = type;
	protection->key_name = key_name ? pstrdup(key_name) : NULL;
	protection->domain = pstrdup(options_get(options, "domain", column));
	check_type(protection, column);
	check_companions(protection, column, options);
}

/* ---------------------------------------------------------------- canonical forms */

static bool
make_host(const Protection *protection, Clear *clear)
{
	Address address;

	if (!address_parse(clear->text, clear->length, &address))
		return false;
	if (protection->unread)
		return true;
	address_unmap(&address);
	clear->length = address_print(&address, clear->buffer);
	clear->text = clear->buffer;
	return true;
}

/* ASCII only: what becomes of other letters depends on the server's collation library. */
static void
make_lower(Clear *clear)
{
	char *copy = palloc(clear->length);

	for (size_t i = 0; i < clear->length; i++)
		copy[i] = pg_ascii_tolower((unsigned char) clear->text[i]);
	clear->text = copy;
}

static bool
make_canonical(const Protection *protection, Clear *clear)
{
	if (protection->canonical == CANONICAL_INET)
		return make_host(protection, clear);
	if (protection->canonical == CANONICAL_LOWER)
		make_lower(clear);
	return true;
}

/* ---------------------------------------------------------------- forms of the result */

static void *
make_varlena(const Protection *protection, size_t length, Datum *result)
{
	char *made = protection->alloc(protection->arena, VARHDRSZ + length);

	SET_VARSIZE(made, VARHDRSZ + length);
	*result = PointerGetDatum(made);
	return VARDATA(made);
}

static void
put_digest(const Protection *protection, const uint8 *digest, Datum *result)
{
	pg_uuid_t *uuid;

	switch (protection->type)
	{
		case BYTEAOID:
			memcpy(make_varlena(protection, DIGEST_LENGTH, result), digest, DIGEST_LENGTH);
			break;
		case UUIDOID:
			uuid = protection->alloc(protection->arena, sizeof(pg_uuid_t));
			memcpy(uuid->data, digest, UUID_LEN);
			*result = UUIDPGetDatum(uuid);
			break;
		default:
			digest_hex(digest, make_varlena(protection, 2 * DIGEST_LENGTH, result));
	}
}

/* Stands for a digest that nobody reads: not NULL, and of the type. */
static void
put_nothing(const Protection *protection, Datum *result)
{
	static const uint8 zeros[DIGEST_LENGTH] = {0};

	if (protection->type == UUIDOID)
		put_digest(protection, zeros, result);
	else
		(void) make_varlena(protection, 0, result);
}

static void
put_network(const Protection *protection, const Address *address, Datum *result)
{
	char text[ADDRESS_TEXT_LENGTH + 4];
	inet *network;
	size_t length;

	if (protection->type == TEXTOID)
	{
		length = address_print(address, text);
		length += sprintf(text + length, "/%d", NETWORK_BITS(address));
		memcpy(make_varlena(protection, length, result), text, length);
		return;
	}
	network = protection->alloc(protection->arena, sizeof(inet));
	memset(network, 0, sizeof(inet));
	ip_family(network) = address->length == 4 ? PGSQL_AF_INET : PGSQL_AF_INET6;
	ip_bits(network) = NETWORK_BITS(address);
	memcpy(ip_addr(network), address->bytes, address->length);
	SET_INET_VARSIZE(network);
	*result = InetPGetDatum(network);
}

static void
put_mask(const Protection *protection, const Clear *clear, Datum *result)
{
	int characters = pg_mbstrlen_with_len(clear->text, clear->length);
	int hidden = characters < SHORTEST_SHOWN ? characters : characters - SHOWN_CHARACTERS;
	size_t from = pg_mbcharcliplen(clear->text, clear->length, hidden);
	char *masked = make_varlena(protection, hidden + clear->length - from, result);

	memset(masked, '*', hidden);
	memcpy(masked + hidden, clear->text + from, clear->length - from);
}

/* ---------------------------------------------------------------- a value */

static int
protect_text(const Protection *protection, Clear *clear, Datum *result)
{
	uint8 digest[DIGEST_LENGTH];
	Address address;

	if (!make_canonical(protection, clear))
		return BAD_VALUE;
	if (protection->unread)
	{
		put_nothing(protection, result);
		return 0;
	}
	switch (protection->kind)
	{
		case PROTECT_HMAC:
			if (protection->key == NULL)
				elog(ERROR, "the key of a protected column is not loaded");
			digest_keyed(protection->key, clear->text, clear->length, digest);
			put_digest(protection, digest, result);
			return 0;
		case PROTECT_SHA256:
			digest_plain(clear->text, clear->length, digest);
			put_digest(protection, digest, result);
			return 0;
		case PROTECT_TRUNCATE:
			if (!address_parse(clear->text, clear->length, &address))
				return BAD_VALUE;
			address_truncate(&address, NETWORK_BITS(&address));
			put_network(protection, &address, result);
			return 0;
		case PROTECT_MASK:
			put_mask(protection, clear, result);
			return 0;
		default:
			elog(ERROR, "unexpected protection %d", (int) protection->kind);
	}
}

int
protect_value(const Protection *protection, const JsonValue *value, Datum *result, bool *isnull,
			  const char **stage)
{
	Clear clear;

	*isnull = protection->kind == PROTECT_DROP;
	if (*isnull)
		return 0;
	*stage = "convert";
	if (value->kind == JSON_OBJECT || value->kind == JSON_ARRAY)
		return BAD_VALUE;
	*stage = "protect";
	clear.text = value->text;
	clear.length = value->length;
	return protect_text(protection, &clear, result);
}
