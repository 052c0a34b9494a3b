/*
 * retry_select.c - the where_clause of retry_quarantine().
 *
 * The clause is text of the caller's and runs as the caller, so it can do nothing that a query of his
 * own could not.  It is parsed alone first: only one expression may stand between the parentheses that
 * it is put into, so it cannot reach over them to the records of other streams.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/memutils.h"

#include "expression.h"
#include "retry_select.h"
#include "streamagg.h"

bool
retry_select_is_all(const char *clause)
{
	return strcmp(clause, "true") == 0;
}

int
retry_select_compare(const void *a, const void *b)
{
	const RereadPlace *x = a;
	const RereadPlace *y = b;

	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void
require_expression(const char *clause)
{
	if (expression_parse(clause) == NULL)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("where_clause must be one condition"),
						errhint("It stands behind WHERE in a query over streamagg.quarantine, such "
								"as code = '23514'.")));
}

static int
drop_doubles(RereadPlace *places, int count)
{
	int kept = 0;

	for (int i = 0; i < count; i++)
		if (kept == 0 || retry_select_compare(&places[kept - 1], &places[i]) != 0)
			places[kept++] = places[i];
	return kept;
}

RereadPlace *
retry_select(Oid stream, const char *clause, int *count)
{
	MemoryContext context = CurrentMemoryContext;
	RereadPlace *places;
	bool isnull;

	require_expression(clause);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* the line's end ends a comment of the clause */
	if (SPI_execute(
			psprintf("SELECT partition, record_offset FROM streamagg.quarantine WHERE stream"
					 " OPERATOR(pg_catalog.=) %u::pg_catalog.regclass AND (%s\n)",
					 stream, clause),
			false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not select from streamagg.quarantine");
	*count = SPI_processed;
	places = MemoryContextAllocHuge(context, sizeof(RereadPlace) * Max(SPI_processed, 1));
	for (int i = 0; i < *count; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];

		places[i].partition = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		places[i].offset = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_finish();
	qsort(places, *count, sizeof(RereadPlace), retry_select_compare);
	*count = drop_doubles(places, *count);
	return places;
}
