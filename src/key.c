/*
 * key.c - streamagg.key_store: keys are made here, and read for C code only.
 *
 * The table has no grants and is left out of dumps.  What a column hashes with is derived from the
 * key and the column's domain, K' = HMAC(K, "streamagg:1:" || domain), so that one key gives
 * pseudonyms in two domains that cannot be linked.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog.h"
#include "event.h"
#include "key.h"
#include "secret.h"
#include "streamagg.h"
#include "worker/session.h"

PG_FUNCTION_INFO_V1(streamagg_create_key);
PG_FUNCTION_INFO_V1(streamagg_export_key);
PG_FUNCTION_INFO_V1(streamagg_pseudonym);

#define KEY_LENGTH 32
#define RANDOM_SOURCE "random"
#define RESERVED_PREFIX "streamagg:"
#define QUARANTINE_KEY RESERVED_PREFIX "quarantine"
#define DOMAIN_PREFIX "streamagg:1:"

typedef struct Key
{
	Oid owner;
	uint8 secret[KEY_LENGTH];
} Key;

static CatalogStatement insert_key = {
	"INSERT INTO streamagg.key_store (name, source, secret, owner)"
	" SELECT $1, $2, $3, $4 ON CONFLICT DO NOTHING",
	4,
	{TEXTOID, TEXTOID, BYTEAOID, OIDOID},
	NULL};

static CatalogStatement find_key = {
	"SELECT secret, owner FROM streamagg.key_store WHERE name = $1", 1, {TEXTOID}, NULL};

/* ---------------------------------------------------------------- the key's 256 bits */

static bool
parse_hex(const char *text, uint8 *secret)
{
	if (strlen(text) != 2 * KEY_LENGTH || strspn(text, "0123456789abcdefABCDEF") != 2 * KEY_LENGTH)
		return false;
	hex_decode(text, 2 * KEY_LENGTH, (char *) secret);
	return true;
}

/* False when there is no such key. */
static bool
read_key(const char *name, Key *key)
{
	Datum argument = CStringGetTextDatum(name);
	CatalogScope scope;
	bool isnull;
	bool found;

	catalog_enter(&scope);
	found = catalog_run(&find_key, &argument, NULL) == 1;
	if (found)
	{
		memcpy(key->secret, VARDATA_ANY(DatumGetByteaPP(catalog_value(0, 1, &isnull))), KEY_LENGTH);
		key->owner = DatumGetObjectId(catalog_value(0, 2, &isnull));
	}
	catalog_leave(&scope);
	return found;
}

static void
require_key(const char *name, Key *key)
{
	if (!read_key(name, key))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("key \"%s\" does not exist", name),
				 errhint("Make it with streamagg.create_key(). Keys are left out of dumps: "
						 "in a restored database make it from what export_key() gave.")));
}

/* ---------------------------------------------------------------- a stream's keys */

static DigestKey *
derive(const Key *key, const char *domain)
{
	DigestKey *root = digest_key_create(key->secret, KEY_LENGTH);
	char *purpose = psprintf(DOMAIN_PREFIX "%s", domain);
	uint8 secret[DIGEST_LENGTH];
	DigestKey *derived;

	digest_keyed(root, purpose, strlen(purpose), secret);
	derived = digest_key_create(secret, DIGEST_LENGTH);
	explicit_bzero(secret, sizeof(secret));
	return derived;
}

static DigestKey *
load(const Stream *stream, const char *name, const char *domain)
{
	Key key;
	DigestKey *derived;

	require_key(name, &key);
	if (!has_privs_of_role(stream->owner, key.owner))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("stream \"%s\" may not use key \"%s\"", stream->name, name),
						errhint("The stream's owner must be a member of the role that made the "
								"key.")));
	derived = derive(&key, domain);
	explicit_bzero(&key, sizeof(key));
	return derived;
}

/* The digests in quarantine need no right of the owner's: nobody chooses that key. */
static DigestKey *
load_quarantine_key(void)
{
	Key key;
	DigestKey *derived;

	require_key(QUARANTINE_KEY, &key);
	derived = derive(&key, "quarantine");
	explicit_bzero(&key, sizeof(key));
	return derived;
}

void
key_load(Stream *stream)
{
	MemoryContext old = MemoryContextSwitchTo(stream->context);

	for (int i = 0; i < stream->natts; i++)
	{
		Protection *protection = &stream->columns[i].protection;

		if (protection->kind == PROTECT_HMAC)
			protection->key = load(stream, protection->key_name, protection->domain);
	}
	stream->quarantine_key = load_quarantine_key();
	MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------- functions */

static void
check_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= NAMEDATALEN)
		ereport(ERROR, (errcode(ERRCODE_INVALID_NAME),
						errmsg("a key's name must have 1 to %d bytes", NAMEDATALEN - 1)));
	if (strncmp(name, RESERVED_PREFIX, strlen(RESERVED_PREFIX)) == 0)
		ereport(ERROR, (errcode(ERRCODE_RESERVED_NAME), errmsg("key name \"%s\" is reserved", name),
						errdetail("Names that begin with \"%s\" are the extension's own.",
								  RESERVED_PREFIX)));
}

/* From outside the database, asked for as the one who makes the key. */
static void
read_reference(const char *source, const char *name, uint8 *secret)
{
	char *noun = psprintf("key \"%s\"", name);
	char *text;
	bool fine;

	secret_require_rights(source, GetUserId(), noun);
	text = secret_read(source, noun);
	fine = parse_hex(text, secret);
	explicit_bzero(text, strlen(text));
	if (!fine)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("the source of key \"%s\" holds no key", name),
						errdetail("It must hold 64 hexadecimal digits."),
						errhint("openssl rand -hex 32 makes some.")));
}

/*
 * The secret of a new key.  One from outside is copied: a pseudonym must not change because a file
 * has, and a stream must not halt because it is gone.
 */
static bytea *
new_secret(const char *source, const char *name)
{
	bytea *secret = palloc(VARHDRSZ + KEY_LENGTH);

	SET_VARSIZE(secret, VARHDRSZ + KEY_LENGTH);
	if (strcmp(source, RANDOM_SOURCE) == 0)
	{
		if (!pg_strong_random(VARDATA(secret), KEY_LENGTH))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not make a random key")));
		return secret;
	}
	if (!secret_is_reference(source))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid source of key \"%s\"", name),
						errdetail("It must be random, env:NAME or file:/absolute/path."),
						errhint("A key is not given as text here: it would stand in the log.")));
	read_reference(source, name, (uint8 *) VARDATA(secret));
	return secret;
}

/*
 * streamagg.create_key(name, source).  Errors: 42710 for a name that is taken, 42501 for env: and
 * file: without their rights, 22023 for another source, F0000 for a source that cannot be read.
 */
Datum
streamagg_create_key(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *source = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bytea *secret;
	Datum values[4];

	streamagg_require_preload();
	catalog_check_version();
	check_name(name);
	secret = new_secret(source, name);
	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(source);
	values[2] = PointerGetDatum(secret);
	values[3] = ObjectIdGetDatum(GetUserId());
	if (catalog_execute(&insert_key, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("key \"%s\" already exists", name),
				 errhint("Pseudonyms made with it would change: choose another name.")));
	event_log(InvalidOid, "create_key", name);
	session_changed(); /* streams may wait for it */
	PG_RETURN_VOID();
}

/* streamagg.export_key(name): 64 hex digits.  Errors: 42501 for others than superusers, 42704. */
Datum
streamagg_export_key(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char hex[2 * KEY_LENGTH];
	Key key;

	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser to export a key")));
	require_key(name, &key);
	digest_hex(key.secret, hex);
	explicit_bzero(&key, sizeof(key));
	event_log(InvalidOid, "export_key", name);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(hex, sizeof(hex)));
}

static void *
alloc_here(void *arena, size_t size)
{
	return palloc(size);
}

static Protection *
protection_of(Stream *stream, const char *column)
{
	AttrNumber number = get_attnum(stream->relid, column);

	if (number <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("stream \"%s\" has no column \"%s\"", stream->name, column)));
	if (stream->columns[number - 1].protection.kind == PROTECT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("column \"%s\" of stream \"%s\" is not protected", column, stream->name)));
	return &stream->columns[number - 1].protection;
}

/*
 * streamagg.pseudonym(stream, column_name, value): what the column holds for this clear value, as
 * text.  Errors: 42501 for others than members of the stream's owner, 42703, 42809 for a column that
 * is not protected, 22P02 for a value that the column would refuse; it is not shown.
 */
Datum
streamagg_pseudonym(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	text *clear = PG_GETARG_TEXT_PP(2);
	JsonValue value = {JSON_STRING, VARSIZE_ANY_EXHDR(clear), VARDATA_ANY(clear)};
	Stream *stream;
	Protection *protection;
	const char *stage;
	Datum result;
	bool isnull;
	Oid output;
	bool unused;

	stream_require_owner(relid);
	stream = stream_load(relid, CurrentMemoryContext);
	protection = protection_of(stream, NameStr(*PG_GETARG_NAME(1)));
	key_load(stream);
	protection->alloc = alloc_here;
	if (protect_value(protection, &value, &result, &isnull, &stage))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("the value does not have the form that column \"%s\" expects",
							   NameStr(*PG_GETARG_NAME(1)))));
	if (isnull)
		PG_RETURN_NULL();
	getTypeOutputInfo(protection->type, &output, &unused);
	result = CStringGetTextDatum(OidOutputFunctionCall(output, result));
	stream_free(stream);
	return result;
}
