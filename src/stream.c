/*
 * stream.c - loads a stream's definition: options, columns, paths, conversions.
 *
 * Who calls it: create_aggregate, push, start, the worker at start and after each change, and the
 * event trigger that checks CREATE and ALTER FOREIGN TABLE.  It reads catalogs only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "check.h"
#include "compat.h"
#include "decode/path.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_partition_watermark);
PG_FUNCTION_INFO_V1(streamagg_topic);

#define DEFAULT_DELAY "10 s"

bool
stream_is_stream(Oid relid)
{
	ForeignTable *table;
	ForeignServer *server;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return false;
	table = GetForeignTable(relid);
	server = GetForeignServer(table->serverid);
	return strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, STREAMAGG_WRAPPER) == 0;
}

void
stream_require(Oid relid)
{
	char *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	if (!stream_is_stream(relid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a stream", name),
						errhint("A stream is a foreign table of the wrapper %s; the view "
								"streamagg.streams lists them.",
								STREAMAGG_WRAPPER)));
}

Oid
stream_owner(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
refuse_stranger(Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("must be a member of the owner of stream \"%s\"", get_rel_name(relid)),
					errdetail("It belongs to role \"%s\".",
							  GetUserNameFromId(stream_owner(relid), false))));
}

void
stream_require_owner(Oid relid)
{
	stream_require(relid);
	if (!has_privs_of_role(GetUserId(), stream_owner(relid)))
		refuse_stranger(relid);
}

void
stream_require_control(Oid relid)
{
	Oid operators = get_role_oid("streamagg_operator", true);

	stream_require(relid);
	if (!has_privs_of_role(GetUserId(), stream_owner(relid)) &&
		!(OidIsValid(operators) && has_privs_of_role(GetUserId(), operators)))
		refuse_stranger(relid);
}

char *
stream_name(Oid relid)
{
	const char *name = get_rel_name(relid);

	return name ? quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name)
				: psprintf("%u", relid);
}

bool
stream_server_is_local(Oid server)
{
	return options_get(GetForeignServer(server)->options, "bootstrap_servers", NULL) == NULL;
}

const char *
stream_option(Oid relid, const char *name, const char *fallback)
{
	return options_get(GetForeignTable(relid)->options, name, fallback);
}

/* ---------------------------------------------------------------- columns */

static ColumnSource
source_of(const char *meta)
{
	static const struct
	{
		const char *name;
		ColumnSource source;
	} sources[] = {{"partition", SOURCE_PARTITION},
				   {"offset", SOURCE_OFFSET},
				   {"timestamp", SOURCE_TIMESTAMP},
				   {"key", SOURCE_KEY},
				   {"topic", SOURCE_TOPIC}};

	if (meta == NULL)
		return SOURCE_PATH;
	for (size_t i = 0; i < lengthof(sources); i++)
		if (strcmp(sources[i].name, meta) == 0)
			return sources[i].source;
	elog(ERROR, "unknown meta column \"%s\"", meta);
}

/* The index of the JSON value under the column's path; its name is the default path. */
static int
add_path(Stream *stream, const char *column, const char *path)
{
	List *keys = path ? path_parse(path) : list_make1(pstrdup(column));
	const char **steps = palloc(sizeof(char *) * list_length(keys));
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

static ConvertEncoding
parse_encoding(const char *name)
{
	ConvertEncoding encoding;

	if (!encoding_parse(name, &encoding))
		elog(ERROR, "unknown encoding \"%s\"", name);
	return encoding;
}

static void
check_column_options(const Stream *stream, const StreamColumn *column, const char *path,
					 const char *meta, const char *encoding)
{
	Oid wanted = encoding_type(parse_encoding(encoding));

	if (path && meta)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("column \"%s\" of stream \"%s\" has both path and meta",
							   column->name, stream->name)));
	if (encoding && (getBaseType(column->type) != wanted || meta))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("column \"%s\" of stream \"%s\" cannot have encoding \"%s\"",
							   column->name, stream->name, encoding),
						errdetail("It is for columns of type %s that come from the document.",
								  format_type_be(wanted))));
}

static void *
alloc_in_batch(void *arena, size_t size)
{
	return batch_alloc(arena, size);
}

static void
load_column(Stream *stream, StreamColumn *column, Form_pg_attribute attribute)
{
	List *options;
	const char *path;
	const char *meta;
	const char *encoding;

	column->source = SOURCE_NONE;
	if (attribute->attisdropped)
		return;
	options = GetForeignColumnOptions(stream->relid, attribute->attnum);
	path = options_get(options, "path", NULL);
	meta = options_get(options, "meta", NULL);
	encoding = options_get(options, "encoding", NULL);
	column->name = pstrdup(NameStr(attribute->attname));
	column->type = attribute->atttypid;
	column->not_null = attribute->attnotnull;
	column->source = source_of(meta);
	check_column_options(stream, column, path, meta, encoding);
	if (attribute->attgenerated)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("generated columns are not supported in streams"),
						errhint("Compute \"%s\" in the aggregate's query.", column->name)));
	if (column->source == SOURCE_PATH)
		column->value = add_path(stream, column->name, path);
	convert_init(&column->conversion, attribute->atttypid, attribute->atttypmod,
				 parse_encoding(encoding), alloc_in_batch, stream->batch);
}

static void
free_reader(void *reader)
{
	json_reader_free(reader);
}

static void
load_columns(Stream *stream, TupleDesc desc)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));

	stream->reader = json_reader_create();
	if (stream->reader == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	callback->func = free_reader;
	callback->arg = stream->reader;
	MemoryContextRegisterResetCallback(stream->context, callback);
	stream->natts = desc->natts;
	stream->batch = batch_create(stream->context, desc->natts);
	stream->columns = palloc0(sizeof(StreamColumn) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
		load_column(stream, &stream->columns[i], TupleDescAttr(desc, i));
	stream->values = palloc0(sizeof(JsonValue) * Max(stream->nvalues, 1));
}

/* ---------------------------------------------------------------- table options */

static int64
duration(List *options, const char *name, const char *fallback)
{
	int64 found;

	if (!options_parse_duration(options_get(options, name, fallback), &found))
		elog(ERROR, "invalid value for option \"%s\"", name);
	return found;
}

static void
load_event_time(Stream *stream, const char *name)
{
	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("stream \"%s\" has no option event_time", stream->name),
						errhint("ALTER FOREIGN TABLE %s OPTIONS (ADD event_time 'column').",
								stream->name)));
	stream->event_time = get_attnum(stream->relid, name);
	if (stream->event_time <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("event_time names column \"%s\", which stream \"%s\" does not have",
							   name, stream->name)));
	if (stream->columns[stream->event_time - 1].type != TIMESTAMPTZOID)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("event_time column \"%s\" of stream \"%s\" must be of type "
							   "timestamp with time zone",
							   name, stream->name)));
}

static void
load_options(Stream *stream, List *options)
{
	const char *topic = options_get(options, "topic", NULL);

	stream->topic = topic ? pstrdup(topic) : NULL;
	if (topic == NULL && !stream->local)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("stream \"%s\" has no option topic", stream->name),
				 errhint("ALTER FOREIGN TABLE %s OPTIONS (ADD topic 'name').", stream->name)));
	load_event_time(stream, options_get(options, "event_time", NULL));
	stream->from_latest = strcmp(options_get(options, "start_from", "earliest"), "latest") == 0;
	stream->watermark_delay = duration(options, "watermark_delay", DEFAULT_DELAY);
	stream->idle_timeout = duration(options, "idle_timeout", "30 s");
	stream->close_after = duration(options, "close_after", "5 min");
	stream->max_future = duration(options, "max_future", "5 min");
	stream->batch_interval = duration(options, "batch_interval", "100 ms");
	(void) options_parse_bytes(options_get(options, "max_message_bytes", "1MB"),
							   &stream->max_message_bytes);
	stream->on_decode_error =
		options_parse_policy(options_get(options, "on_decode_error", "quarantine"));
	stream->on_violation = options_parse_policy(options_get(options, "on_violation", "quarantine"));
}

Stream *
stream_load(Oid relid, MemoryContext parent)
{
	MemoryContext context;
	MemoryContext old;
	ForeignTable *table;
	Relation rel;
	Stream *stream;

	stream_require(relid);
	context = AllocSetContextCreate(parent, "streamagg stream", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	table = GetForeignTable(relid);
	rel = relation_open(relid, AccessShareLock);
	stream = palloc0(sizeof(Stream));
	stream->context = context;
	stream->relid = relid;
	stream->owner = rel->rd_rel->relowner;
	stream->server = table->serverid;
	stream->name = pstrdup(RelationGetRelationName(rel));
	stream->local = stream_server_is_local(table->serverid);
	load_columns(stream, RelationGetDescr(rel));
	load_options(stream, table->options);
	stream->check = check_create(stream, rel);
	relation_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	return stream;
}

void
stream_free(Stream *stream)
{
	if (stream)
		MemoryContextDelete(stream->context);
}

/* ---------------------------------------------------------------- fixed options */

static void
append_fixed(StringInfo text, const char *scope, List *options, const OptionSpec *specs)
{
	for (; specs->name; specs++)
	{
		const char *value = specs->fixed ? options_get(options, specs->name, NULL) : NULL;

		if (value)
			appendStringInfo(text, "%s.%s=%s;", scope, specs->name, quote_literal_cstr(value));
	}
}

char *
stream_default_path(const char *column)
{
	StringInfoData path;

	initStringInfo(&path);
	appendStringInfoChar(&path, '"');
	for (; *column; column++)
	{
		if (*column == '"')
			appendStringInfoChar(&path, '"');
		appendStringInfoChar(&path, *column);
	}
	appendStringInfoChar(&path, '"');
	return path.data;
}

/* What a column is read from, whether it is said or by default: a rename does not change it. */
static void
append_fixed_column(StringInfo text, Oid relid, Form_pg_attribute attribute)
{
	List *options = GetForeignColumnOptions(relid, attribute->attnum);

	if (attribute->attisdropped)
		return;
	if (options_get(options, "path", NULL) == NULL && options_get(options, "meta", NULL) == NULL)
		options = lappend(
			options,
			makeDefElem("path",
						(Node *) makeString(stream_default_path(NameStr(attribute->attname))), -1));
	append_fixed(text, psprintf("%d", attribute->attnum), options, column_options);
}

char *
stream_fixed_options(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	List *options = GetForeignTable(relid)->options;
	StringInfoData text;

	initStringInfo(&text);
	append_fixed(&text, "", options, table_options);
	appendStringInfo(&text, "event_time=%d;",
					 get_attnum(relid, options_get(options, "event_time", "")));
	for (int i = 0; i < desc->natts; i++)
		append_fixed_column(&text, relid, TupleDescAttr(desc, i));
	relation_close(rel, NoLock);
	return text.data;
}

/* ---------------------------------------------------------------- watermarks */

TimestampTz
stream_watermark(TimestampTz highest, int64 delay)
{
	if (TIMESTAMP_IS_NOBEGIN(highest))
		return DT_NOBEGIN;
	return Max(highest - delay, MIN_TIMESTAMP);
}

/* streamagg.partition_watermark(oid, timestamptz): NULL where the relation is gone. */
Datum
streamagg_partition_watermark(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	TimestampTz highest = PG_GETARG_TIMESTAMPTZ(1);

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(stream_watermark(
		highest, duration(GetForeignTable(relid)->options, "watermark_delay", DEFAULT_DELAY)));
}

/* streamagg.topic(oid): NULL without one. */
Datum
streamagg_topic(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	const char *topic;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		PG_RETURN_NULL();
	topic = stream_option(relid, "topic", NULL);
	if (topic == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(topic));
}
