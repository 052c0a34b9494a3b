/*
 * nested.h - arrays and composite types, by PostgreSQL's own jsonb_populate_record.
 */
#ifndef STREAMAGG_NESTED_H
#define STREAMAGG_NESTED_H

#include "utils/jsonb.h"

#include "json.h"

typedef struct Nested Nested;

/* In a context of its own under the current one.  Errors: as shape_create. */
extern Nested *nested_create(Oid type, int32 typmod);

/* Before each value: is made anew when a type in it was altered.  Errors: as nested_create. */
extern void nested_follow(Nested *nested);

/* After an error: likewise for what the function kept for the next call. */
extern void nested_renew(Nested *nested);

/*
 * The value as jsonb, palloc'd, for nested_populate; NULL when it holds a word that reads the
 * clock.  Raises errors for numbers beyond numeric.
 */
extern Jsonb *nested_document(const Nested *nested, const JsonValue *value);

/* Raises the errors of the type's input.  Exact: as if the column had no typmod. */
extern Datum nested_populate(Nested *nested, Jsonb *document, bool exact);

#endif
