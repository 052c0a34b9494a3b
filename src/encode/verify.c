/*
 * verify.c - reads a record back before it is written: what would go to quarantine, or come back as
 * another row, is refused.
 *
 * So INSERT judges by the very code that reads the topic.  Of a stream that is loaded for writing
 * every protection is drop: a protected column is NULL here, and no key is needed.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "encode/row.h"
#include "streamagg.h"

/* ---------------------------------------------------------------- the verdict */

static void
raise_fault(const Stream *stream, Relation rel, const RecordFault *fault)
{
	bool is_check = fault->rule && strcmp(fault->stage, "check") == 0;
	AttrNumber column = fault->column ? get_attnum(stream->relid, fault->column) : 0;

	ereport(ERROR, (errcode(fault->code),
					errmsg("stream \"%s\" would not accept the row: %s", stream->name,
						   record_fault_reason(fault)),
					is_check	 ? errtableconstraint(rel, fault->rule)
					: column > 0 ? errtablecol(rel, column)
								 : errtable(rel)));
}

/* ---------------------------------------------------------------- the values */

static bool
has_value(const Stream *stream, const bool *isnull, ColumnSource source)
{
	for (int i = 0; i < stream->natts; i++)
		if (!isnull[i] && stream->columns[i].source == source)
			return true;
	return false;
}

static bool
is_object(const StreamColumn *column, Datum value)
{
	return column->type == JSONBOID && JB_ROOT_IS_OBJECT(DatumGetJsonbP(value));
}

/* Whether another column's value is merged into this one's. */
static bool
is_merged(const Stream *stream, const bool *isnull, int number, Datum value)
{
	const StreamColumn *outer = &stream->columns[number];

	if (!is_object(outer, value) && outer->path != NIL)
		return false;
	for (int i = 0; i < stream->natts; i++)
	{
		const StreamColumn *inner = &stream->columns[i];
		int steps = 0;

		if (isnull[i] || inner->source != SOURCE_PATH ||
			list_length(inner->path) <= list_length(outer->path))
			continue;
		while (steps < list_length(outer->path) &&
			   strcmp(list_nth(outer->path, steps), list_nth(inner->path, steps)) == 0)
			steps++;
		if (steps == list_length(outer->path))
			return true;
	}
	return outer->path == NIL && has_value(stream, isnull, SOURCE_REST);
}

/* Whether the value is read back by itself: not cut to Kafka's precision, and nothing merged in. */
static bool
is_compared(const Stream *stream, const bool *isnull, int number, Datum value)
{
	switch (stream->columns[number].source)
	{
		case SOURCE_PATH:
			return !is_merged(stream, isnull, number, value);
		case SOURCE_REST:
			for (int i = 0; i < stream->natts; i++)
				if (!isnull[i] && stream->columns[i].source == SOURCE_PATH &&
					stream->columns[i].path == NIL)
					return false;
			return true;
		case SOURCE_HEADERS:
			/* none at all is NULL on the way back */
			return JB_ROOT_COUNT(DatumGetJsonbP(value)) > 0 &&
				   !has_value(stream, isnull, SOURCE_HEADER);
		case SOURCE_NONE:
		case SOURCE_TIMESTAMP:
			return false;
		default:
			return true;
	}
}

/* The same bytes, or equal by the type's own operator; of a type that has none, any. */
static bool
is_equal(Form_pg_attribute attribute, Datum left, Datum right)
{
	TypeCacheEntry *type;

	if (datum_image_eq(left, right, attribute->attbyval, attribute->attlen))
		return true;
	type = lookup_type_cache(attribute->atttypid, TYPECACHE_EQ_OPR_FINFO);
	return !OidIsValid(type->eq_opr_finfo.fn_oid) ||
		   DatumGetBool(
			   FunctionCall2Coll(&type->eq_opr_finfo, attribute->attcollation, left, right));
}

static void
compare(const Stream *stream, Relation rel, int i, Datum value, Datum read, bool read_isnull)
{
	if (!read_isnull && is_equal(TupleDescAttr(RelationGetDescr(rel), i), value, read))
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("the value of column \"%s\" would be read back as %s",
						   stream->columns[i].name, read_isnull ? "NULL" : "another one"),
					errdetail("JSON has no form for it, or another column's value stands in the "
							  "same place of the message."),
					errtablecol(rel, i + 1)));
}

void
row_verify(Stream *stream, Relation rel, const Record *record, const Datum *values,
		   const bool *isnull)
{
	Record given = *record;
	Datum *read;
	bool *read_isnull;
	TimestampTz event_time;
	RecordFault fault;

	batch_reset(stream->batch);
	batch_next_row(stream->batch, &read, &read_isnull);
	given.partition = Max(given.partition, 0);
	if (given.has_time == RECORD_TIME_NONE)
	{
		given.has_time = RECORD_TIME_VALID;
		given.time = GetCurrentTimestamp();
	}
	if (!record_to_row(stream, &given, read, read_isnull, &event_time, &fault))
		raise_fault(stream, rel, &fault);
	for (int i = 0; i < stream->natts; i++)
		if (!isnull[i] && is_compared(stream, isnull, i, values[i]))
			compare(stream, rel, i, values[i], read[i], read_isnull[i]);
}
