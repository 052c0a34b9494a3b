/*
 * shape.h - what is inside a column's type, as far as conversion must know it.
 */
#ifndef STREAMAGG_SHAPE_H
#define STREAMAGG_SHAPE_H

#include "utils/jsonb.h"

typedef enum ShapeKind
{
	SHAPE_SCALAR, /* ranges, too */
	SHAPE_ARRAY,
	SHAPE_COMPOSITE
} ShapeKind;

typedef struct Shape
{
	ShapeKind kind;
	bool reads_clock; /* words such as now mean something to it, or inside it */
	bool zoned;		  /* time with time zone: the zone's name may ask for the date */
	int nparts;		  /* an array's element, a composite's attributes */
	struct Shape **parts;
	char **names;	/* of the attributes */
	Oid type;		/* of a composite type, as this: */
	uint64 version; /* changes with the type's definition */
} Shape;

/*
 * Looks into a type; palloc'd, with everything in it.  Errors: 0A000 for types whose input depends
 * on the catalog, cuts values, or rounds them where that would not be seen.
 */
extern Shape *shape_create(Oid type, int32 typmod);

/* False when a composite type in it was altered. */
extern bool shape_is_current(const Shape *shape);

/* Would the type's input read the clock?  Of a literal with several values: might it? */
extern bool shape_text_reads_clock(const Shape *shape, const char *text, size_t length);
extern bool shape_jsonb_reads_clock(const Shape *shape, const JsonbValue *value);

#endif
