/*
 * digest.c - digests by OpenSSL, the only includer of its headers.
 *
 * OpenSSL's one-shot HMAC() looks its algorithm up and hashes the key anew each time, which is ten
 * times the cost of hashing an address.  Here the hash's states after the key's two blocks are kept
 * and copied (RFC 2104, section 4).  The functions on SHA256_CTX are marked as deprecated since 3.0
 * for that they bypass providers; that is what makes them fast.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "postgres.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "utils/palloc.h"

#include "digest.h"

#define BLOCK_LENGTH 64

struct DigestKey
{
	SHA256_CTX inner;
	SHA256_CTX outer;
};

static void
wipe(void *key)
{
	OPENSSL_cleanse(key, sizeof(DigestKey));
}

static void
begin_with(SHA256_CTX *state, const uint8 *block, uint8 pad)
{
	uint8 padded[BLOCK_LENGTH];

	for (int i = 0; i < BLOCK_LENGTH; i++)
		padded[i] = block[i] ^ pad;
	SHA256_Init(state);
	SHA256_Update(state, padded, BLOCK_LENGTH);
	OPENSSL_cleanse(padded, sizeof(padded));
}

DigestKey *
digest_key_create(const uint8 *secret, size_t length)
{
	DigestKey *key = palloc(sizeof(DigestKey));
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	uint8 block[BLOCK_LENGTH] = {0};

	if (length > BLOCK_LENGTH)
		digest_plain((const char *) secret, length, block);
	else
		memcpy(block, secret, length);
	begin_with(&key->inner, block, 0x36);
	begin_with(&key->outer, block, 0x5c);
	OPENSSL_cleanse(block, sizeof(block));
	callback->func = wipe;
	callback->arg = key;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return key;
}

void
digest_keyed(const DigestKey *key, const char *text, size_t length, uint8 result[DIGEST_LENGTH])
{
	SHA256_CTX state = key->inner;

	SHA256_Update(&state, text, length);
	SHA256_Final(result, &state);
	state = key->outer;
	SHA256_Update(&state, result, DIGEST_LENGTH);
	SHA256_Final(result, &state);
}

void
digest_plain(const char *text, size_t length, uint8 result[DIGEST_LENGTH])
{
	SHA256_CTX state;

	SHA256_Init(&state);
	SHA256_Update(&state, text, length);
	SHA256_Final(result, &state);
}

void
digest_hex(const uint8 digest[DIGEST_LENGTH], char *result)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_LENGTH; i++)
	{
		result[2 * i] = digits[digest[i] >> 4];
		result[2 * i + 1] = digits[digest[i] & 15];
	}
}
