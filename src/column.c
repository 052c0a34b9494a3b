/*
 * column.c - what each column of a stream is made of: paths, meta columns, conversions, protection.
 *
 * It also holds the rules that keep a protected value from being reachable by a second way.  Called
 * by stream_load() only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "column.h"
#include "decode/path.h"
#include "streamagg.h"

#define HEADER_PREFIX "header:"

/* Types that a meta column may have; none: any. */
static const struct
{
	const char *name;
	ColumnSource source;
	Oid types[3];
} sources[] = {
	{"partition", SOURCE_PARTITION, {InvalidOid}},
	{"offset", SOURCE_OFFSET, {InvalidOid}},
	{"timestamp", SOURCE_TIMESTAMP, {InvalidOid}},
	{"key", SOURCE_KEY, {InvalidOid}},
	{"topic", SOURCE_TOPIC, {InvalidOid}},
	{"headers", SOURCE_HEADERS, {JSONBOID}},
	{"rest", SOURCE_REST, {JSONBOID}},
	{"raw", SOURCE_RAW, {TEXTOID, BYTEAOID}},
};

static void
refuse(const Stream *stream, const StreamColumn *column, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("column \"%s\" of stream \"%s\" cannot be made", column->name, stream->name),
			 errdetail("%s", detail), hint ? errhint("%s", hint) : 0));
}

/* ---------------------------------------------------------------- sources */

static bool
is_one_of(Oid type, const Oid *types)
{
	for (; OidIsValid(*types); types++)
		if (*types == type)
			return true;
	return false;
}

static void
read_source(const Stream *stream, StreamColumn *column, const char *meta)
{
	column->source = SOURCE_PATH;
	if (meta == NULL)
		return;
	if (strncmp(meta, HEADER_PREFIX, strlen(HEADER_PREFIX)) == 0)
	{
		column->source = SOURCE_HEADER;
		column->header = pstrdup(meta + strlen(HEADER_PREFIX));
		return;
	}
	for (size_t i = 0; i < lengthof(sources); i++)
	{
		if (strcmp(sources[i].name, meta) != 0)
			continue;
		column->source = sources[i].source;
		if (OidIsValid(sources[i].types[0]) && !is_one_of(column->type, sources[i].types))
			refuse(stream, column,
				   psprintf("meta %s has no form of type %s.", meta, format_type_be(column->type)),
				   column->source == SOURCE_RAW ? "Use text or bytea." : "Use jsonb.");
		return;
	}
	elog(ERROR, "unknown meta column \"%s\"", meta);
}

List *
column_path_parse(const char *text)
{
	return strcmp(text, "$") == 0 ? NIL : path_parse(text);
}

/* The index of the value under these keys. */
static int
add_path(Stream *stream, const List *keys)
{
	const char **steps = palloc(sizeof(char *) * Max(list_length(keys), 1));
	ListCell *cell;
	int n = 0;
	int index;

	foreach (cell, keys)
		steps[n++] = lfirst(cell);
	index = json_reader_add_path(stream->reader, steps, n);
	if (index < 0)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	stream->nvalues = Max(stream->nvalues, index + 1);
	return index;
}

/* ---------------------------------------------------------------- a column */

static ConvertEncoding
parse_encoding(const char *name)
{
	ConvertEncoding encoding;

	if (!encoding_parse(name, &encoding))
		elog(ERROR, "unknown encoding \"%s\"", name);
	return encoding;
}

static void
check_options(const Stream *stream, const StreamColumn *column, const char *path, const char *meta,
			  const char *encoding)
{
	Oid wanted = encoding_type(parse_encoding(encoding));

	if (path && meta)
		refuse(stream, column, "It has both path and meta.", NULL);
	if (encoding && (getBaseType(column->type) != wanted || meta))
		refuse(stream, column,
			   psprintf("Encoding %s is for columns of type %s that come from the document.",
						encoding, format_type_be(wanted)),
			   NULL);
	if (column->protection.kind == PROTECT_NONE)
		return;
	if (column->source != SOURCE_PATH && column->source != SOURCE_KEY &&
		column->source != SOURCE_HEADER)
		refuse(stream, column, "Only paths, the key and single headers can be protected.", NULL);
}

static void *
alloc_in_batch(void *arena, size_t size)
{
	const StreamColumn *column = arena;

	return column->unread ? batch_alloc_passing(column->batch, size)
						  : batch_alloc(column->batch, size);
}

static void
load_column(Stream *stream, StreamColumn *column, Form_pg_attribute attribute)
{
	List *options;
	const char *path;
	const char *encoding;

	column->source = SOURCE_NONE;
	if (attribute->attisdropped)
		return;
	options = GetForeignColumnOptions(stream->relid, attribute->attnum);
	path = options_get(options, "path", NULL);
	encoding = options_get(options, "encoding", NULL);
	column->name = pstrdup(NameStr(attribute->attname));
	column->type = attribute->atttypid;
	column->not_null = attribute->attnotnull;
	if (attribute->attgenerated)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("generated columns are not supported in streams"),
						errhint("Compute \"%s\" in the aggregate's query.", column->name)));
	read_source(stream, column, options_get(options, "meta", NULL));
	protect_init(&column->protection, column->name, column->type, options);
	check_options(stream, column, path, options_get(options, "meta", NULL), encoding);
	column->protection.alloc = alloc_in_batch;
	column->protection.arena = column;
	column->batch = stream->batch;
	if (column->source == SOURCE_PATH)
	{
		column->path = path ? column_path_parse(path) : list_make1(pstrdup(column->name));
		column->value = add_path(stream, column->path);
	}
	if (column->protection.kind == PROTECT_NONE)
		convert_init(&column->conversion, attribute->atttypid, attribute->atttypmod,
					 parse_encoding(encoding), alloc_in_batch, column);
}

/* ---------------------------------------------------------------- no second way */

/* The first path is the second, or leads to it. */
static bool
encloses(const List *outer, const List *inner)
{
	if (list_length(outer) > list_length(inner))
		return false;
	for (int i = 0; i < list_length(outer); i++)
		if (strcmp(list_nth(outer, i), list_nth(inner, i)) != 0)
			return false;
	return true;
}

/* Whether the open column shows what the protected one hides. */
static bool
reveals(const StreamColumn *open, const StreamColumn *hidden)
{
	switch (open->source)
	{
		case SOURCE_RAW:
			return hidden->source == SOURCE_PATH;
		case SOURCE_PATH:
			return hidden->source == SOURCE_PATH && encloses(open->path, hidden->path);
		case SOURCE_KEY:
			return hidden->source == SOURCE_KEY;
		case SOURCE_HEADER:
			return hidden->source == SOURCE_HEADER && strcmp(open->header, hidden->header) == 0;
		default:
			return false;
	}
}

static void
check_second_ways(const Stream *stream)
{
	for (int i = 0; i < stream->natts; i++)
	{
		const StreamColumn *hidden = &stream->columns[i];

		if (hidden->protection.kind == PROTECT_NONE)
			continue;
		for (int j = 0; j < stream->natts; j++)
			if (stream->columns[j].protection.kind == PROTECT_NONE &&
				reveals(&stream->columns[j], hidden))
				refuse(stream, &stream->columns[j],
					   psprintf("It would show what protected column \"%s\" hides.", hidden->name),
					   "Protect it, too, or leave it out.");
	}
}

/* ---------------------------------------------------------------- all */

static void
free_reader(void *reader)
{
	json_reader_free(reader);
}

static void
make_reader(Stream *stream)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));

	stream->reader = json_reader_create();
	if (stream->reader == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	callback->func = free_reader;
	callback->arg = stream->reader;
	MemoryContextRegisterResetCallback(stream->context, callback);
}

void
column_load_all(Stream *stream, TupleDesc desc)
{
	make_reader(stream);
	stream->natts = desc->natts;
	stream->batch = batch_create(stream->context, desc->natts);
	stream->columns = palloc0(sizeof(StreamColumn) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		StreamColumn *column = &stream->columns[i];

		load_column(stream, column, TupleDescAttr(desc, i));
		if (column->source == SOURCE_HEADER || column->source == SOURCE_HEADERS)
			stream->has_headers = true;
	}
	check_second_ways(stream);
	stream->values = palloc0(sizeof(JsonValue) * Max(stream->nvalues, 1));
}
