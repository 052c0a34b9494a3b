/*
 * batch.h - the accepted rows of one batch, column values as Datums in an arena.
 */
#ifndef STREAMAGG_BATCH_H
#define STREAMAGG_BATCH_H

#include "datatype/timestamp.h"
#include "utils/palloc.h"

typedef struct BatchRow
{
	TimestampTz event_time;
	TimestampTz watermark; /* greatest(partition watermark before the row, closing watermark) */
	int64 offset;
	int32 partition;
	uint32 length; /* of the record's value, which stays where it was read */
	const char *value;
	int number;			  /* in the order of reading */
	struct varlena *rest; /* for the archive: what no column holds, as jsonb; NULL: nothing */
} BatchRow;

typedef struct Batch
{
	MemoryContext context; /* the arrays; lives as long as the batch object */
	MemoryContext data;	   /* by-reference values; reset by batch_reset */
	int natts;
	int nrows;
	int naside; /* behind the rows: set aside */
	int capacity;
	Datum *values; /* nrows × natts */
	bool *isnull;
	BatchRow *rows;
	char *free; /* the rest of the current block of data */
	char *end;
	char *passing; /* a block that is used over and over */
	size_t passed; /* bytes of it */
} Batch;

extern Batch *batch_create(MemoryContext parent, int natts);
extern void batch_reset(Batch *batch);

/* Room for one more row behind the last; it counts once batch_keep_row is called. */
extern void batch_next_row(Batch *batch, Datum **values, bool **isnull);
extern BatchRow *batch_keep_row(Batch *batch);

/* Takes the marked rows out; the others move up in their order. */
extern void batch_remove_rows(Batch *batch, const bool *marks);

/*
 * The marked rows go behind the others, and back to where they were.  A row must not be added while
 * some are aside.
 */
extern void batch_set_aside(Batch *batch, const bool *marks);
extern void batch_put_back(Batch *batch);

/* MAXALIGNed bytes that live until batch_reset; never NULL. */
extern void *batch_alloc(Batch *batch, size_t size);

/* The same for what nobody looks at once the column is judged. */
extern void *batch_alloc_passing(Batch *batch, size_t size);

#endif
