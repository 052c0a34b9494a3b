/*
 * meta.h - columns that are not made of the document: key, headers, rest, raw …
 */
#ifndef STREAMAGG_META_H
#define STREAMAGG_META_H

#include "utils/jsonb.h"

#include "record.h"

/*
 * The value of a meta column, converted or protected.  Returns 0 or the SQLSTATE of the violation,
 * with its stage.  Inside a guard; by-reference values live until the batch is reset.
 */
extern int meta_convert(Stream *stream, const StreamColumn *column, const Record *record,
						Datum *value, bool *isnull, const char **stage);

/*
 * The document less the paths of all columns and what protected ones hide; an emptied object stays.
 * Returns 0, or the SQLSTATE of a number beyond numeric.  Inside a guard, in the current context.
 */
extern int meta_rest(const Stream *stream, const Record *record, Jsonb **rest);

#endif
