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
#include "archive.h"
#include "column.h"
#include "compat.h"
#include "dedup.h"
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

static void
require_owner_or(Oid relid, const char *role)
{
	Oid others = get_role_oid(role, true);

	stream_require(relid);
	if (!has_privs_of_role(GetUserId(), stream_owner(relid)) &&
		!(OidIsValid(others) && has_privs_of_role(GetUserId(), others)))
		refuse_stranger(relid);
}

void
stream_require_control(Oid relid)
{
	require_owner_or(relid, "streamagg_operator");
}

void
stream_require_reader(Oid relid)
{
	require_owner_or(relid, "streamagg_reader");
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
	if (stream->columns[stream->event_time - 1].protection.kind != PROTECT_NONE)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("event_time column \"%s\" of stream \"%s\" cannot be protected",
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
	(void) start_from_parse(options_get(options, "start_from", "earliest"), &stream->start_from);
	stream->skips_lost = strcmp(options_get(options, "on_data_loss", "stop"), "skip") == 0;
	stream->watermark_delay = duration(options, "watermark_delay", DEFAULT_DELAY);
	stream->idle_timeout = duration(options, "idle_timeout", "30 s");
	stream->close_after = duration(options, "close_after", "5 min");
	stream->max_future = duration(options, "max_future", "5 min");
	stream->batch_interval = duration(options, "batch_interval", "100 ms");
	(void) options_parse_bytes(options_get(options, "max_message_bytes", "1MB"),
							   &stream->max_message_bytes);
	stream->max_bad_ratio = strtod(options_get(options, "max_bad_ratio", "1.0"), NULL);
	stream->on_decode_error =
		options_parse_policy(options_get(options, "on_decode_error", "quarantine"));
	stream->on_violation = options_parse_policy(options_get(options, "on_violation", "quarantine"));
	stream->archived = strcmp(options_get(options, "archive", "off"), "on") == 0;
	stream->keeps_rest = stream->archived && archive_keeps_rest(stream);
	dedup_load(stream, options);
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
	column_load_all(stream, RelationGetDescr(rel));
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

int64
stream_watermark_delay(Oid relid)
{
	return duration(GetForeignTable(relid)->options, "watermark_delay", DEFAULT_DELAY);
}

/* streamagg.partition_watermark(oid, timestamptz): NULL where the relation is gone. */
Datum
streamagg_partition_watermark(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	TimestampTz highest = PG_GETARG_TIMESTAMPTZ(1);

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(stream_watermark(highest, stream_watermark_delay(relid)));
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
