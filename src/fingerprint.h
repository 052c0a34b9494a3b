/*
 * fingerprint.h - by what the last record of a partition is known again.
 */
#ifndef STREAMAGG_FINGERPRINT_H
#define STREAMAGG_FINGERPRINT_H

#include "digest.h"

#define FINGERPRINT_LENGTH 12

typedef struct Fingerprint
{
	int64 offset; /* -1: there is none */
	uint8 bytes[FINGERPRINT_LENGTH];
} Fingerprint;

struct KafkaMessage;

/* Of a record; the key is that of the database's digests. */
extern void fingerprint_make(const DigestKey *key, const struct KafkaMessage *message,
							 Fingerprint *fingerprint);

/* Whether the two are known to be of different records; one of another database's tells nothing. */
extern bool fingerprint_differs(const Fingerprint *one, const Fingerprint *other);

#endif
