/*
 * rounding.h - type modifiers that round: numeric(p,s), timestamp(p), interval year to month …
 */
#ifndef STREAMAGG_ROUNDING_H
#define STREAMAGG_ROUNDING_H

#include "fmgr.h"

typedef struct Rounding
{
	int code;		/* SQLSTATE of a value that would be rounded; 0: the typmod rounds nothing */
	FmgrInfo equal; /* of the type */
} Rounding;

/* 22003 for numbers, 22008 for times, 0 for a typmod that does not round.  Not for arrays. */
extern int rounding_code(Oid type, int32 typmod);

/* For a type or the elements of an array; function data is kept in the context. */
extern void rounding_init(Rounding *rounding, Oid type, int32 typmod, MemoryContext context);

/* The code when the value behind the input with the typmod is not the one without it, or 0. */
extern int rounding_judge(Rounding *rounding, Datum rounded, Datum exact);

#endif
