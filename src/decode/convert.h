/*
 * convert.h - a JSON value to a Datum of a column's type.
 */
#ifndef STREAMAGG_CONVERT_H
#define STREAMAGG_CONVERT_H

#include "fmgr.h"

#include "json.h"
#include "time.h"

/* Where by-reference results go: size bytes, MAXALIGNed, owned by the caller. */
typedef void *(*ConvertAlloc)(void *arena, size_t size);

typedef struct Conversion Conversion;

/* One of the fast ways, or the general one by the type's input function. */
typedef int (*ConvertFunction)(const Conversion *conversion, const JsonValue *value, Datum *result);

struct Conversion
{
	ConvertFunction convert;
	Oid type;
	int32 typmod;
	TimeEncoding encoding;
	FmgrInfo input;
	Oid input_param;
	ConvertAlloc alloc;
	void *arena;
};

/*
 * Prepares a conversion; function data is kept in the current context.  Errors: 0A000 for a type
 * that cannot be read yet.
 */
extern void convert_init(Conversion *conversion, Oid type, int32 typmod, TimeEncoding encoding,
						 ConvertAlloc alloc, void *arena);

/*
 * Converts a value that is neither missing nor null.  Nothing is rounded.  Returns 0 or the
 * SQLSTATE of the violation; raises no error for what a record holds.  General conversions palloc
 * in the current context, whose life must be the batch's.
 */
static inline int
convert_value(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	return conversion->convert(conversion, value, result);
}

#endif
