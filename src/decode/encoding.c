/*
 * encoding.c - the names of the encodings, and the type that each is for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "encoding.h"

static const struct
{
	const char *name;
	ConvertEncoding encoding;
	Oid type;
} encodings[] = {
	{"iso8601", ENCODING_ISO8601, TIMESTAMPTZOID},
	{"epoch_s", ENCODING_EPOCH_S, TIMESTAMPTZOID},
	{"epoch_ms", ENCODING_EPOCH_MS, TIMESTAMPTZOID},
	{"epoch_us", ENCODING_EPOCH_US, TIMESTAMPTZOID},
	{"base64", ENCODING_BASE64, BYTEAOID},
	{"hex", ENCODING_HEX, BYTEAOID},
};

bool
encoding_parse(const char *name, ConvertEncoding *encoding)
{
	*encoding = ENCODING_NONE;
	for (size_t i = 0; name && i < lengthof(encodings); i++)
		if (strcmp(encodings[i].name, name) == 0)
			*encoding = encodings[i].encoding;
	return name == NULL || *encoding != ENCODING_NONE;
}

Oid
encoding_type(ConvertEncoding encoding)
{
	for (size_t i = 0; i < lengthof(encodings); i++)
		if (encodings[i].encoding == encoding)
			return encodings[i].type;
	return InvalidOid;
}
