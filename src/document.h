/*
 * document.h - a message as jsonb, for the few who need all of it.
 */
#ifndef STREAMAGG_DOCUMENT_H
#define STREAMAGG_DOCUMENT_H

#include "utils/jsonb.h"

/*
 * A valid JSON document, a byte order mark before it left off.  Inside a guard.  Returns 0, or the
 * SQLSTATE of a number that is beyond numeric.  In the current context.
 */
extern int document_parse(const char *text, size_t length, Jsonb **document);

extern bool document_is_object(const JsonbValue *value);
extern bool document_key_is(const JsonbValue *key, const char *name);

#endif
