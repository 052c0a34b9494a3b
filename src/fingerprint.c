/*
 * fingerprint.c - a digest of a record's key, value and time.
 *
 * A log that was cut and has grown again, and a topic that was made anew, have other records at the
 * same offsets, and no error tells of it.  So a batch stores a fingerprint of the last record of each
 * partition, and whoever begins to read looks at that record again.  Keyed, since a digest of personal
 * data without a key is as good as the data; it begins with a digest of no record, which tells keys
 * apart: a restored database has another.
 */
#include "postgres.h"

#include "fingerprint.h"
#include "kafka/consumer.h"

#define KEY_PART 4
#define LOOKED_AT 4096 /* of a value, beside its length: a batch must not pay for a long one */

void
fingerprint_make(const DigestKey *key, const KafkaMessage *message, Fingerprint *fingerprint)
{
	static const char purpose[] = "streamagg fingerprint";
	struct
	{
		int64 timestamp;
		int64 length; /* -1: null */
		int64 key_length;
		uint8 value[DIGEST_LENGTH];
		uint8 key[DIGEST_LENGTH];
	} parts = {message->timestamp, message->value ? (int64) message->length : -1,
			   message->key ? (int64) message->key_length : -1};
	uint8 digest[DIGEST_LENGTH];

	digest_keyed(key, purpose, sizeof(purpose), digest);
	memcpy(fingerprint->bytes, digest, KEY_PART);
	if (message->value)
		digest_keyed(key, message->value, Min(message->length, LOOKED_AT), parts.value);
	if (message->key)
		digest_keyed(key, message->key, Min(message->key_length, LOOKED_AT), parts.key);
	digest_keyed(key, (const char *) &parts, sizeof(parts), digest);
	memcpy(fingerprint->bytes + KEY_PART, digest, FINGERPRINT_LENGTH - KEY_PART);
	fingerprint->offset = message->offset;
}

bool
fingerprint_differs(const Fingerprint *one, const Fingerprint *other)
{
	return one->offset == other->offset && memcmp(one->bytes, other->bytes, KEY_PART) == 0 &&
		   memcmp(one->bytes, other->bytes, FINGERPRINT_LENGTH) != 0;
}
