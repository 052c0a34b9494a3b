/*
 * json_random.h: what json_test.c does beside its cases.
 */
#ifndef JSON_RANDOM_H
#define JSON_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

#include "json.h"

/*
 * Whether json_read and json_verdict say the same; reports the text if they don't.  The
 * text is read from memory of exactly its size, so that a sanitizer sees a byte too many.
 */
extern bool verdicts_agree(JsonReader *reader, const char *text, size_t length);

/* A reader of paths that meet the documents of the tests; they fit into so many values. */
#define MAX_PATHS 32
extern JsonReader *create_reader(void);

/* Mutates documents for so many seconds; false when the verdicts once differed. */
extern bool run_random(int seconds, unsigned long long seed);

extern void run_bench(long documents);

#endif
