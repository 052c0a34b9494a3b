/*
 * json_pick.h: the plainest way to a value in a JSON document, to hold the fast reader against.
 */
#ifndef JSON_PICK_H
#define JSON_PICK_H

#include "json.h"

/*
 * The value under the keys, outermost first; of duplicate keys the last counts, all the way down.
 * The document must be valid.  Text as in JsonValue; that of a string is malloc'd for the caller.
 */
extern JsonValue
json_pick(const char *document, size_t length, const char *const *steps, int nsteps);

#endif
