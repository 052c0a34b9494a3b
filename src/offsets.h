/*
 * offsets.h - offsets of partitions as users write them: {"0": 42, "1": 7}.
 */
#ifndef STREAMAGG_OFFSETS_H
#define STREAMAGG_OFFSETS_H

#include "utils/jsonb.h"

typedef struct Offsets
{
	int count;
	int32 *partitions;
	int64 *offsets;
} Offsets;

/* Into the current context; false, and no error, when it is anything else. */
extern bool offsets_parse(const char *text, Offsets *offsets);
/* The same for an argument of a function; 22023 when it is anything else. */
extern Offsets offsets_of_jsonb(Jsonb *value);

#endif
