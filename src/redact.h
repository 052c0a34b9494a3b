/*
 * redact.h - what may be shown of a record that was not accepted.
 */
#ifndef STREAMAGG_REDACT_H
#define STREAMAGG_REDACT_H

#include "nodes/bitmapset.h"

#include "stream.h"

/*
 * A valid document as jsonb: at the paths of declared, unprotected columns that are not among the
 * failing ones (numbers from 1) the values, at most 1000 bytes each; anywhere else only what they
 * are, such as "string(12)".  Inside a guard, in the current context.
 */
extern Datum
redact_document(const Stream *stream, const char *text, size_t length, const Bitmapset *failing);

/* Any bytes as jsonb: length and keyed digest; beyond limit the length only. */
extern Datum redact_bytes(const DigestKey *key, const char *bytes, size_t length, int64 limit);

#endif
