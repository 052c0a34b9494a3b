/*
 * batch.c - the arena of a batch's rows.
 *
 * Rows are row-major arrays of Datums, so that a scan hands out a row by pointing a virtual slot at
 * it.  Values of by-reference types are bump-allocated: no palloc a row.  The arena knows nothing of
 * streams or records; ingest.c fills it and fdw/scan.c reads it.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "batch.h"

#define FIRST_CAPACITY 1024
#define BLOCK_SIZE (256 * 1024)
#define PASSING_SIZE (16 * 1024)

/* Values up to this size share blocks; none does under valgrind, which then knows where each ends. */
#ifdef USE_VALGRIND
#define SHARING_SIZE 0
#else
#define SHARING_SIZE (BLOCK_SIZE / 8)
#endif

/*
 * An empty batch for rows of natts columns, in a context of its own under parent: deleting parent
 * frees it.
 */
Batch *
batch_create(MemoryContext parent, int natts)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "streamagg batch", ALLOCSET_DEFAULT_SIZES);
	Batch *batch = MemoryContextAllocZero(context, sizeof(Batch));

	batch->context = context;
	batch->data = AllocSetContextCreate(context, "streamagg batch data", ALLOCSET_DEFAULT_SIZES);
	batch->natts = natts;
	return batch;
}

/* Forgets all rows and their values; keeps the arrays for the next batch. */
void
batch_reset(Batch *batch)
{
	batch->nrows = batch->naside = 0;
	batch->free = batch->end = NULL;
	MemoryContextReset(batch->data);
}

static void
grow(Batch *batch)
{
	int capacity = batch->capacity ? batch->capacity * 2 : FIRST_CAPACITY;
	Size cells = (Size) capacity * Max(batch->natts, 1);

	if (batch->capacity == 0)
	{
		batch->values = MemoryContextAllocHuge(batch->context, cells * sizeof(Datum));
		batch->isnull = MemoryContextAllocHuge(batch->context, cells * sizeof(bool));
		batch->rows = MemoryContextAllocHuge(batch->context, capacity * sizeof(BatchRow));
	}
	else
	{
		batch->values = repalloc_huge(batch->values, cells * sizeof(Datum));
		batch->isnull = repalloc_huge(batch->isnull, cells * sizeof(bool));
		batch->rows = repalloc_huge(batch->rows, capacity * sizeof(BatchRow));
	}
	batch->capacity = capacity;
}

void
batch_next_row(Batch *batch, Datum **values, bool **isnull)
{
	if (batch->nrows == batch->capacity)
		grow(batch);
	*values = batch->values + (Size) batch->nrows * batch->natts;
	*isnull = batch->isnull + (Size) batch->nrows * batch->natts;
}

BatchRow *
batch_keep_row(Batch *batch)
{
	BatchRow *row = &batch->rows[batch->nrows];

	Assert(batch->naside == 0);
	row->number = batch->nrows++;
	return row;
}

void
batch_remove_rows(Batch *batch, const bool *marks)
{
	int kept = 0;

	for (int i = 0; i < batch->nrows + batch->naside; i++)
	{
		Size from = (Size) i * batch->natts;
		Size to = (Size) kept * batch->natts;

		if (i < batch->nrows && marks[i])
			continue;
		memmove(batch->values + to, batch->values + from, batch->natts * sizeof(Datum));
		memmove(batch->isnull + to, batch->isnull + from, batch->natts * sizeof(bool));
		batch->rows[kept++] = batch->rows[i];
	}
	batch->nrows = kept - batch->naside;
}

/* The rows, those aside included, in the order of these numbers of theirs. */
static void
arrange(Batch *batch, const int *order)
{
	int count = batch->nrows + batch->naside;
	Size cells = (Size) count * batch->natts;
	Datum *values = MemoryContextAllocHuge(batch->data, Max(cells, 1) * sizeof(Datum));
	bool *isnull = MemoryContextAllocHuge(batch->data, Max(cells, 1) * sizeof(bool));
	BatchRow *rows = MemoryContextAllocHuge(batch->data, count * sizeof(BatchRow));

	memcpy(values, batch->values, cells * sizeof(Datum));
	memcpy(isnull, batch->isnull, cells * sizeof(bool));
	memcpy(rows, batch->rows, count * sizeof(BatchRow));
	for (int i = 0; i < count; i++)
	{
		Size from = (Size) order[i] * batch->natts;
		Size to = (Size) i * batch->natts;

		memcpy(batch->values + to, values + from, batch->natts * sizeof(Datum));
		memcpy(batch->isnull + to, isnull + from, batch->natts * sizeof(bool));
		batch->rows[i] = rows[order[i]];
	}
	pfree(values);
	pfree(isnull);
	pfree(rows);
}

void
batch_set_aside(Batch *batch, const bool *marks)
{
	int *order = MemoryContextAllocHuge(batch->data, Max(batch->nrows, 1) * sizeof(int));
	int kept = 0;
	int aside = 0;

	Assert(batch->naside == 0);
	for (int i = 0; i < batch->nrows; i++)
		aside += marks[i];
	for (int i = 0, next = batch->nrows - aside; i < batch->nrows && aside > 0; i++)
		order[marks[i] ? next++ : kept++] = i;
	if (aside > 0)
		arrange(batch, order);
	batch->nrows -= aside;
	batch->naside = aside;
	pfree(order);
}

/* Rows and those aside are each in their order: a merge. */
void
batch_put_back(Batch *batch)
{
	int count = batch->nrows + batch->naside;
	int *order = MemoryContextAllocHuge(batch->data, Max(count, 1) * sizeof(int));
	int row = 0;
	int aside = batch->nrows;

	for (int i = 0; i < count; i++)
	{
		bool from_rows = aside == count || (row < batch->nrows &&
											batch->rows[row].number < batch->rows[aside].number);

		order[i] = from_rows ? row++ : aside++;
	}
	if (batch->naside > 0)
		arrange(batch, order);
	batch->nrows = count;
	batch->naside = 0;
	pfree(order);
}

void *
batch_alloc(Batch *batch, size_t size)
{
	char *found;

	if (size > SHARING_SIZE)
		return MemoryContextAllocHuge(batch->data, size);
	size = MAXALIGN(size);
	if ((size_t) (batch->end - batch->free) < size)
	{
		batch->free = MemoryContextAlloc(batch->data, BLOCK_SIZE);
		batch->end = batch->free + BLOCK_SIZE;
	}
	found = batch->free;
	batch->free += size;
	return found;
}

/* Of the arena's memory nothing is touched that would have to be fetched, written and read again. */
void *
batch_alloc_passing(Batch *batch, size_t size)
{
	char *found;

	size = MAXALIGN(size);
	if (size > Min(PASSING_SIZE / 4, SHARING_SIZE))
		return batch_alloc(batch, size);
	if (batch->passing == NULL)
		batch->passing = MemoryContextAlloc(batch->context, PASSING_SIZE);
	if (batch->passed + size > PASSING_SIZE)
		batch->passed = 0;
	found = batch->passing + batch->passed;
	batch->passed += size;
	return found;
}
