/*
 * encoding.h - how a column's values are written in the document: the option encoding.
 */
#ifndef STREAMAGG_ENCODING_H
#define STREAMAGG_ENCODING_H

typedef enum ConvertEncoding
{
	ENCODING_NONE, /* as the type reads it; of a time the same as ISO8601 */
	ENCODING_ISO8601,
	ENCODING_EPOCH_S,
	ENCODING_EPOCH_MS,
	ENCODING_EPOCH_US,
	ENCODING_BASE64,
	ENCODING_HEX
} ConvertEncoding;

#define ENCODING_NAMES "epoch_s, epoch_ms, epoch_us, iso8601, base64 or hex"

/* False for a name that is none of ENCODING_NAMES; NULL is ENCODING_NONE. */
extern bool encoding_parse(const char *name, ConvertEncoding *encoding);

/* The type whose columns may have the encoding. */
extern Oid encoding_type(ConvertEncoding encoding);

#endif
