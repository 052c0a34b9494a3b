/*
 * dedup.h - rows whose dedup_key was accepted before: duplicates.
 */
#ifndef STREAMAGG_DEDUP_H
#define STREAMAGG_DEDUP_H

#include "progress.h"
#include "stream.h"

typedef struct Dedup Dedup;

/*
 * Reads dedup_key and dedup_within into the stream.  Errors: 42703 for a column that is not there,
 * 42804 for a type whose equal values cannot be told by a digest, HV00N for dedup_within alone.
 */
extern void dedup_load(Stream *stream, List *options);

/* For one batch, in the current context; NULL where the stream has no dedup_key. */
extern Dedup *dedup_begin(const Stream *stream, const Progress *progress);

/* Marks, palloc'd, of the batch's rows that are duplicates of accepted rows; may be called again. */
extern bool *dedup_find(Dedup *dedup, const Batch *batch);

/* Remembers the batch's rows, which are accepted; forgets what can be matched no more. */
extern void dedup_store(Dedup *dedup, const Batch *batch);

#endif
