/*
 * digest.h - SHA-256, and HMAC-SHA-256 with a key that is used again and again.
 */
#ifndef STREAMAGG_DIGEST_H
#define STREAMAGG_DIGEST_H

#define DIGEST_LENGTH 32

typedef struct DigestKey DigestKey;

/*
 * A key ready for use, in the current context, which must live as long; its secret is wiped when
 * that context is reset or deleted.
 */
extern DigestKey *digest_key_create(const uint8 *secret, size_t length);

/* HMAC-SHA-256 (RFC 2104) of the text. */
extern void
digest_keyed(const DigestKey *key, const char *text, size_t length, uint8 result[DIGEST_LENGTH]);
extern void digest_plain(const char *text, size_t length, uint8 result[DIGEST_LENGTH]);

/* 64 lower-case hex digits, not terminated. */
extern void digest_hex(const uint8 digest[DIGEST_LENGTH], char *result);

#endif
