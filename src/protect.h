/*
 * protect.h - what is stored instead of a personal value.
 */
#ifndef STREAMAGG_PROTECT_H
#define STREAMAGG_PROTECT_H

#include "nodes/pg_list.h"

#include "decode/convert.h"
#include "digest.h"

typedef enum ProtectKind
{
	PROTECT_NONE,
	PROTECT_HMAC,
	PROTECT_SHA256,
	PROTECT_TRUNCATE,
	PROTECT_MASK,
	PROTECT_DROP
} ProtectKind;

typedef enum ProtectCanonical
{
	CANONICAL_NONE,
	CANONICAL_LOWER,
	CANONICAL_INET
} ProtectCanonical;

typedef struct Protection
{
	ProtectKind kind;
	ProtectCanonical canonical;
	Oid type; /* of the column: the form of the result */
	char *key_name;
	char *domain;
	DigestKey *key; /* NULL until key_load() */
	bool unread;	/* nobody reads the result: a digest need not be made */
	ConvertAlloc alloc;
	void *arena;
} Protection;

/* The words of the options protect and canonical, NULL-terminated. */
extern const char *const protect_kinds[];
extern const char *const protect_canonicals[];

/*
 * Reads a column's options; kind NONE without protect.  Keys are not looked at: a restored
 * definition may come before them.  Errors: HV024 for options that do not go together or with the
 * type.
 */
extern void protect_init(Protection *protection, const char *column, Oid type, List *options);

/*
 * The protected form of a value that is neither missing nor null.  Returns 0, or the SQLSTATE of
 * the violation and its stage: convert for an object or array, protect for no address.  The clear
 * value is not kept anywhere.
 */
extern int protect_value(const Protection *protection, const JsonValue *value, Datum *result,
						 bool *isnull, const char **stage);

#endif
