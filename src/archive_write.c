/*
 * archive_write.c - the rows of a batch into the archive.
 *
 * One INSERT … SELECT from the stream's own scan, behind the aggregates: a row that one of them fails
 * on is no accepted row.  What is no column of the stream (offset, watermark …) functions take from
 * the batch, by the row's ctid.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "archive.h"
#include "fdw/scan.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_batch_partition);
PG_FUNCTION_INFO_V1(streamagg_batch_offset);
PG_FUNCTION_INFO_V1(streamagg_batch_watermark);
PG_FUNCTION_INFO_V1(streamagg_batch_rest);

struct Archive
{
	Oid relid;
	char *sql;
	SPIPlanPtr plan; /* made at the first batch */
};

static const Batch *written = NULL; /* the batch that is being archived */

/* ---------------------------------------------------------------- functions of the statement */

static const BatchRow *
row_of(FunctionCallInfo fcinfo)
{
	int64 row = scan_row((ItemPointer) PG_GETARG_POINTER(0));

	if (written == NULL || row < 0 || row >= written->nrows)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no row of a batch is being archived"),
						errhint("The functions streamagg.batch_… are for the stream's own "
								"statement.")));
	return &written->rows[row];
}

/* streamagg.batch_partition(tid) */
Datum
streamagg_batch_partition(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(row_of(fcinfo)->partition);
}

/* streamagg.batch_offset(tid) */
Datum
streamagg_batch_offset(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(row_of(fcinfo)->offset);
}

/* streamagg.batch_watermark(tid) */
Datum
streamagg_batch_watermark(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(row_of(fcinfo)->watermark);
}

/* streamagg.batch_rest(tid) */
Datum
streamagg_batch_rest(PG_FUNCTION_ARGS)
{
	const BatchRow *row = row_of(fcinfo);

	if (row->rest == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(row->rest);
}

/* ---------------------------------------------------------------- the statement */

static char *
insert_sql(const Stream *stream, Oid archive)
{
	StringInfoData columns;
	StringInfoData values;

	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < stream->natts; i++)
	{
		const char *name = stream->columns[i].name;

		if (stream->columns[i].source == SOURCE_NONE)
			continue;
		appendStringInfo(&columns, "%s, ", quote_identifier(name));
		appendStringInfo(&values, "s.%s, ", quote_identifier(name));
	}
	if (stream->keeps_rest)
	{
		appendStringInfo(&columns, "%s, ", quote_identifier(archive_rest_column(archive)));
		appendStringInfoString(&values, "streamagg.batch_rest(s.ctid), ");
	}
	return psprintf("INSERT INTO %s (%s_partition, _offset, _watermark, _received_at) SELECT "
					"%sstreamagg.batch_partition(s.ctid), streamagg.batch_offset(s.ctid), "
					"streamagg.batch_watermark(s.ctid), $1 FROM %s s",
					stream_name(archive), columns.data, values.data, stream_name(stream->relid));
}

Archive *
archive_load(const Stream *stream)
{
	Archive *archive;

	if (!stream->archived)
		return NULL;
	archive = palloc0(sizeof(Archive));
	archive->relid = archive_complete(stream->relid);
	archive->sql = insert_sql(stream, archive->relid);
	return archive;
}

void
archive_free(Archive *archive)
{
	if (archive && archive->plan)
		SPI_freeplan(archive->plan);
	if (archive)
		archive->plan = NULL;
}

bool
archive_is(const Archive *archive, Oid relid)
{
	return archive && archive->relid == relid;
}

/* ---------------------------------------------------------------- a batch */

/* What was judged is written: the lock is kept. */
static void
check_target(const Archive *archive)
{
	Relation rel = try_relation_open(archive->relid, RowExclusiveLock);

	if (rel == NULL) /* by a superuser: the next try makes it anew */
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("the archive of the stream was dropped")));
	if (rel->rd_rel->relowner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("archive \"%s\" belongs to role \"%s\"", RelationGetRelationName(rel),
						GetUserNameFromId(rel->rd_rel->relowner, true)),
				 errhint("Stream and archive need one owner: ALTER TABLE … OWNER TO, of its "
						 "partitions, too, or REASSIGN OWNED.")));
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE || rel->rd_rules != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("archive \"%s\" is not a plain partitioned table any more",
							   RelationGetRelationName(rel)),
						errhint("Drop its rules.")));
	if (check_enable_rls(archive->relid, GetUserId(), true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("archive \"%s\" has row-level security", RelationGetRelationName(rel)),
				 errhint("ALTER TABLE … NO FORCE ROW LEVEL SECURITY.")));
	relation_close(rel, NoLock);
}

static void
insert_rows(Archive *archive, const Stream *stream, TimestampTz at)
{
	Oid types[1] = {TIMESTAMPTZOID};
	Datum values[1] = {TimestampTzGetDatum(at)};

	if (archive->plan == NULL)
	{
		archive->plan = SPI_prepare_cursor(archive->sql, 1, types, CURSOR_OPT_GENERIC_PLAN);
		if (archive->plan == NULL || SPI_keepplan(archive->plan) != 0)
			elog(ERROR, "could not prepare the statement of the archive");
	}
	if (SPI_execute_plan(archive->plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the archive");
	if (SPI_processed != (uint64) stream->batch->nrows)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("archive \"%s\" took " UINT64_FORMAT " of %d rows",
							   get_rel_name(archive->relid), SPI_processed, stream->batch->nrows),
						errhint("Drop the triggers on it that leave rows out.")));
}

/* All rows of a batch were received at the same time, so that midnight does not part them. */
void
archive_write(Archive *archive, const Stream *stream)
{
	ScanOffer rows = {stream->relid, stream->batch, NULL, 0, stream->batch->nrows};
	const Batch *before_written = written;
	TimestampTz at = GetCurrentTimestamp();
	ScanOffer before;

	if (archive == NULL || stream->batch->nrows == 0)
		return;
	check_target(archive);
	archive_ensure_day(archive->relid, at);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	before = scan_offer(&rows);
	written = stream->batch;
	PG_TRY();
	{
		insert_rows(archive, stream, at);
	}
	PG_FINALLY();
	{
		written = before_written;
		scan_withdraw(&before);
	}
	PG_END_TRY();
	SPI_finish();
}
