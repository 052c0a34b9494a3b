/*
 * row.h - a row of a stream to the record that it would be read from.
 */
#ifndef STREAMAGG_ENCODE_ROW_H
#define STREAMAGG_ENCODE_ROW_H

#include "utils/rel.h"

#include "record.h"

#define ROW_ANY_PARTITION (-1)

typedef struct RowWriter RowWriter;

/* For rows of the stream, in the current context. */
extern RowWriter *row_writer_create(Stream *stream);

/*
 * Fills the record, in the current context: its partition may be ROW_ANY_PARTITION, its time none.
 * Errors: 0A000 a value for a protected column, 428C9 for what Kafka decides, 22023 for what no record
 * can hold.
 */
extern void row_write(RowWriter *writer, const Datum *values, const bool *isnull, Record *record);

/*
 * Inside a guard, between check_begin and check_end: raises what would be wrong with the record on its
 * way back, under its SQLSTATE, or 22023 when a column would have another value.
 */
extern void row_verify(Stream *stream, Relation rel, const Record *record, const Datum *values,
					   const bool *isnull);

#endif
