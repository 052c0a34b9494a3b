/*
 * tree.h - the columns that come from the document, made a document again.
 */
#ifndef STREAMAGG_ENCODE_TREE_H
#define STREAMAGG_ENCODE_TREE_H

#include "encode/value.h"
#include "stream.h"

typedef struct Tree Tree;

/* In the current context; writers, one a column, must live as long. */
extern Tree *tree_create(const Stream *stream, ValueWriter *writers);

/*
 * Appends the document of a row: nested paths are nested objects, NULLs are left out.  What one
 * column's value says of a place that is another's, too, is merged: path $, then from shorter paths to
 * longer ones, then rest.  Errors: 22023 for a document or rest that is no object.
 */
extern void tree_write(Tree *tree, const Datum *values, const bool *isnull, StringInfo json);

#endif
