/*
 * row.c - a row to a record: its document by tree.c, its meta columns here.
 *
 * What a row may not say is refused here; whether it can be read back, by verify.c.  Who calls it:
 * fdw/modify.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/string.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "decode/time.h"
#include "encode/row.h"
#include "encode/tree.h"
#include "streamagg.h"

struct RowWriter
{
	Stream *stream;
	ValueWriter *values; /* one a column */
	Tree *tree;
};

RowWriter *
row_writer_create(Stream *stream)
{
	RowWriter *writer = palloc0(sizeof(RowWriter));

	writer->stream = stream;
	writer->values = palloc0(sizeof(ValueWriter) * Max(stream->natts, 1));
	for (int i = 0; i < stream->natts; i++)
		if (stream->columns[i].source != SOURCE_NONE)
			value_writer_init(&writer->values[i], stream->columns[i].type,
							  stream->columns[i].conversion.encoding);
	writer->tree = tree_create(stream, writer->values);
	return writer;
}

/* ---------------------------------------------------------------- refusals */

static void
refuse(const StreamColumn *column, int code, const char *detail)
{
	ereport(ERROR, (errcode(code), errmsg("cannot write a value for column \"%s\"", column->name),
					errdetail("%s", detail)));
}

static void
refuse_protected(const StreamColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot insert into protected column \"%s\"", column->name),
			 errdetail("It holds what protects the values of the topic, never such a value."),
			 errhint("Leave it NULL, or write to the topic with a Kafka producer.")));
}

static void
refuse_generated(const StreamColumn *column)
{
	ereport(ERROR, (errcode(ERRCODE_GENERATED_ALWAYS),
					errmsg("cannot insert a non-DEFAULT value into column \"%s\"", column->name),
					errdetail("Kafka says the offset, and the stream the topic."),
					errhint("Leave it out, or NULL.")));
}

/* With the message itself nothing else of it can be said. */
static void
check_raw(const RowWriter *writer, const bool *isnull, int raw)
{
	for (int i = 0; i < writer->stream->natts; i++)
	{
		ColumnSource source = writer->stream->columns[i].source;

		if (!isnull[i] && i != raw &&
			(source == SOURCE_PATH || source == SOURCE_REST || source == SOURCE_RAW))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("columns \"%s\" and \"%s\" cannot both have a value",
							writer->stream->columns[raw].name, writer->stream->columns[i].name),
					 errdetail("One is the whole message, the other a part of it.")));
	}
}

/* ---------------------------------------------------------------- meta columns */

/* The bytes of a key, a header or a whole message. */
static const char *
bytes_of(RowWriter *writer, int i, Datum value, size_t *length)
{
	StringInfoData text;

	if (writer->stream->columns[i].type == BYTEAOID)
	{
		struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

		*length = VARSIZE_ANY_EXHDR(bytes);
		return VARDATA_ANY(bytes);
	}
	initStringInfo(&text);
	value_write_text(&writer->values[i], value, &text);
	*length = text.len;
	return text.data;
}

static void
set_partition(RowWriter *writer, int i, Datum value, Record *record)
{
	StringInfoData text;

	char *end;

	initStringInfo(&text);
	value_write_text(&writer->values[i], value, &text);
	/* not by PostgreSQL's functions: their errors quote the value */
	errno = 0;
	record->partition = strtoint(text.data, &end, 10);
	if (end == text.data || *end != '\0' || errno != 0 || record->partition < 0)
		refuse(&writer->stream->columns[i], ERRCODE_INVALID_PARAMETER_VALUE,
			   "Partitions are whole numbers from 0 on.");
}

/* Kafka keeps milliseconds, and takes 0 for no time. */
static void
set_time(RowWriter *writer, int i, Datum value, Record *record)
{
	const StreamColumn *column = &writer->stream->columns[i];
	StringInfoData text;
	TimestampTz time;

	initStringInfo(&text);
	value_write_text(&writer->values[i], value, &text);
	if (time_parse_iso(text.data, text.len, &time) != 0)
		refuse(column, ERRCODE_INVALID_DATETIME_FORMAT, "It is not a time of ISO 8601.");
	if (TIMESTAMP_NOT_FINITE(time) || time < TIME_UNIX_EPOCH + 1000)
		refuse(column, ERRCODE_DATETIME_FIELD_OVERFLOW,
			   "The time of a record is finite and after 1970-01-01 00:00:00 UTC.");
	time -= (time - TIME_UNIX_EPOCH) % 1000;
	if (record->has_time == RECORD_TIME_VALID && record->time != time)
		refuse(column, ERRCODE_INVALID_PARAMETER_VALUE,
			   "Another column gives the record another time.");
	record->time = time;
	record->has_time = RECORD_TIME_VALID;
}

static void
add_header(Record *record, const char *name, const char *value, size_t length)
{
	RecordHeader *headers = (RecordHeader *) record->headers;
	Size size = sizeof(RecordHeader) * (record->nheaders + 1);

	headers = headers ? repalloc(headers, size) : palloc(size);
	headers[record->nheaders++] = (RecordHeader){name, value, length};
	record->headers = headers;
}

/* Of what a protected column reads nothing is written, by no way. */
static void
check_header(const Stream *stream, const char *name)
{
	for (int i = 0; i < stream->natts; i++)
		if (stream->columns[i].source == SOURCE_HEADER &&
			stream->columns[i].protection.kind != PROTECT_NONE &&
			strcmp(stream->columns[i].header, name) == 0)
			refuse_protected(&stream->columns[i]);
}

static void
add_headers(const Stream *stream, const StreamColumn *column, Datum value, Record *record)
{
	Jsonb *headers = DatumGetJsonbP(value);
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbValue key;
	JsonbValue header;

	if (!JB_ROOT_IS_OBJECT(headers))
		refuse(column, ERRCODE_INVALID_PARAMETER_VALUE, "Headers are a JSON object.");
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		char *name = pnstrdup(key.val.string.val, key.val.string.len);

		check_header(stream, name);
		(void) JsonbIteratorNext(&iterator, &header, true);
		if (header.type == jbvNull)
			add_header(record, name, NULL, 0);
		else if (header.type == jbvString)
			add_header(record, name, pnstrdup(header.val.string.val, header.val.string.len),
					   header.val.string.len);
		else
			refuse(column, ERRCODE_INVALID_PARAMETER_VALUE,
				   "The values of headers are strings or null.");
	}
}

/* The named ones come behind all headers, since of a name that comes twice the last counts. */
static void
set_headers(RowWriter *writer, const Datum *values, const bool *isnull, Record *record)
{
	const Stream *stream = writer->stream;

	for (int i = 0; i < stream->natts; i++)
		if (!isnull[i] && stream->columns[i].source == SOURCE_HEADERS)
			add_headers(stream, &stream->columns[i], values[i], record);
	for (int i = 0; i < stream->natts; i++)
		if (!isnull[i] && stream->columns[i].source == SOURCE_HEADER)
		{
			size_t length;
			const char *bytes = bytes_of(writer, i, values[i], &length);

			add_header(record, stream->columns[i].header, bytes, length);
		}
}

static void
set_meta(RowWriter *writer, int i, Datum value, Record *record)
{
	switch (writer->stream->columns[i].source)
	{
		case SOURCE_PARTITION:
			set_partition(writer, i, value, record);
			break;
		case SOURCE_TIMESTAMP:
			set_time(writer, i, value, record);
			break;
		case SOURCE_KEY:
			record->key = bytes_of(writer, i, value, &record->key_length);
			break;
		case SOURCE_RAW:
			record->value = bytes_of(writer, i, value, &record->length);
			break;
		case SOURCE_OFFSET:
		case SOURCE_TOPIC:
			refuse_generated(&writer->stream->columns[i]);
			break;
		default:
			break;
	}
}

/* ---------------------------------------------------------------- all */

void
row_write(RowWriter *writer, const Datum *values, const bool *isnull, Record *record)
{
	const Stream *stream = writer->stream;
	StringInfoData document;

	memset(record, 0, sizeof(Record));
	record->partition = ROW_ANY_PARTITION;
	record->has_time = RECORD_TIME_NONE;
	for (int i = 0; i < stream->natts; i++)
	{
		if (isnull[i] || stream->columns[i].source == SOURCE_NONE)
			continue;
		if (stream->columns[i].protection.kind != PROTECT_NONE)
			refuse_protected(&stream->columns[i]);
		if (stream->columns[i].source == SOURCE_RAW)
			check_raw(writer, isnull, i);
		set_meta(writer, i, values[i], record);
	}
	set_headers(writer, values, isnull, record);
	if (record->value)
		return;
	initStringInfo(&document);
	tree_write(writer->tree, values, isnull, &document);
	record->value = document.data;
	record->length = document.len;
}
