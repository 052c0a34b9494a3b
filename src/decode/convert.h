/*
 * convert.h - a JSON value to a Datum of a column's type.
 */
#ifndef STREAMAGG_CONVERT_H
#define STREAMAGG_CONVERT_H

#include "fmgr.h"

#include "encoding.h"
#include "json.h"
#include "rounding.h"

/* Where by-reference results go: size bytes, MAXALIGNed, owned by the caller. */
typedef void *(*ConvertAlloc)(void *arena, size_t size);

typedef struct Conversion Conversion;

/* One of the fast ways, or a general one by the type's input function. */
typedef int (*ConvertFunction)(const Conversion *conversion, const JsonValue *value, Datum *result);

struct Conversion
{
	ConvertFunction convert;
	Oid type;
	int32 typmod;
	ConvertEncoding encoding;
	ConvertAlloc alloc;
	void *arena;
	MemoryContext scratch; /* of the value at hand */
	bool by_value;
	int16 length;
	Oid input_param;
	FmgrInfo input;
	Rounding rounding;
	struct Shape *shape;
	struct Labels *labels;	 /* of an enum */
	struct Nested *nested;	 /* of arrays and composite types */
	struct Domain *domain;	 /* of a domain … */
	struct Conversion *base; /* … over this one */
};

/*
 * Prepares a conversion; what it needs is kept in the current context.  Errors: 0A000 for a type
 * whose values would depend on more than the record, or be rounded unseen.
 */
extern void convert_init(Conversion *conversion, Oid type, int32 typmod, ConvertEncoding encoding,
						 ConvertAlloc alloc, void *arena);

/*
 * Converts a value that is neither missing nor null.  Nothing is rounded.  Returns 0 or the
 * SQLSTATE of the violation; raises no error for what a record holds.
 */
static inline int
convert_value(const Conversion *conversion, const JsonValue *value, Datum *result)
{
	return conversion->convert(conversion, value, result);
}

/* The verdict on a value that is missing or null: domains may refuse it. */
extern int convert_null(const Conversion *conversion);

#endif
