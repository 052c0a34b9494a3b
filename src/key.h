/*
 * key.h - the keys of protected columns.
 */
#ifndef STREAMAGG_KEY_H
#define STREAMAGG_KEY_H

#include "stream.h"

/*
 * Derives the key of each protected column, and that of the digests in quarantine, into the stream's
 * context.  Errors: 42704 for a key that does not exist, 42501 where the stream's owner is no member
 * of the key's owner.
 */
extern void key_load(Stream *stream);

#endif
