/*
 * column.h - the columns of a stream, as their options define them.
 */
#ifndef STREAMAGG_COLUMN_H
#define STREAMAGG_COLUMN_H

#include "access/tupdesc.h"

#include "stream.h"

/*
 * Fills in the stream's reader, batch and columns, in its context.  Errors: HV024 for options that
 * do not go together, with the type, or with a protected column; 0A000 for what is not built yet.
 */
extern void column_load_all(Stream *stream, TupleDesc desc);

/* The wanted way through a document: keys, or NIL for the document itself. */
extern List *column_path_parse(const char *text);

#endif
