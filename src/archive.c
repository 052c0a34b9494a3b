/*
 * archive.c - a stream's archive: the table of its accepted rows.
 *
 * It is made when the stream is first used with archive 'on' (create_aggregate, start, push, a batch),
 * or by ALTER FOREIGN TABLE; not by CREATE, since a dump brings the table itself.  Its columns follow
 * the stream's: what was added is added, what was renamed is renamed, what was dropped stays for the
 * rows that have it.  It depends on nothing: DROP of the stream leaves it standing.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "aggregate/define.h"
#include "aggregate/run.h"
#include "archive.h"
#include "catalog.h"
#include "event.h"
#include "partition.h"
#include "streamagg.h"
#include "worker/control.h"

#define SUFFIX "_archive"
#define REST "rest"
#define OTHER_REST "_rest"

static CatalogStatement find_archive = {
	"SELECT archive, rest FROM streamagg.archive_catalog WHERE stream = $1",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement find_rest = {
	"SELECT rest FROM streamagg.archive_catalog WHERE archive = $1", 1, {REGCLASSOID}, NULL};

static CatalogStatement add_archive = {
	"INSERT INTO streamagg.archive_catalog (archive, stream, rest) SELECT $1, $2, $3",
	3,
	{REGCLASSOID, REGCLASSOID, TEXTOID},
	NULL};

static CatalogStatement own_archive = {
	"UPDATE streamagg.archive_catalog SET identity = $2 WHERE archive = $1"
	" AND identity IS DISTINCT FROM $2",
	2,
	{REGCLASSOID, TEXTOID},
	NULL};

static CatalogStatement rename_rest = {
	"UPDATE streamagg.archive_catalog SET rest = $2 WHERE archive = $1",
	2,
	{REGCLASSOID, TEXTOID},
	NULL};

/* The columns that it has besides the stream's. */
static const struct
{
	const char *name;
	const char *type;
	const char *comment;
} own_columns[] = {
	{"_partition", "int", "Partition of the record."},
	{"_offset", "bigint", "Offset of the record."},
	{"_watermark", "timestamptz",
	 "The watermark that the row met: windows that ended before were late for it."},
	{"_received_at", "timestamptz", "When its batch was written; days of it are the partitions."},
};

/* ---------------------------------------------------------------- finding */

Oid
archive_of(Oid stream)
{
	Datum value = ObjectIdGetDatum(stream);
	Oid found = catalog_find_oid(&find_archive, &value);

	return get_rel_relkind(found) == RELKIND_PARTITIONED_TABLE ? found : InvalidOid;
}

bool
archive_is_on(Oid stream)
{
	return strcmp(stream_option(stream, "archive", "off"), "on") == 0;
}

char *
archive_rest_column(Oid archive)
{
	MemoryContext context = CurrentMemoryContext;
	Datum value = ObjectIdGetDatum(archive);
	char *found = NULL;
	CatalogScope scope;

	catalog_enter(&scope);
	if (catalog_run(&find_rest, &value, NULL) > 0)
		found = MemoryContextStrdup(context, catalog_string(0, 1));
	catalog_leave(&scope);
	if (found == NULL)
		elog(ERROR, "relation %u is no archive", archive);
	return found;
}

bool
archive_keeps_rest(const Stream *stream)
{
	for (int i = 0; i < stream->natts; i++)
	{
		const StreamColumn *column = &stream->columns[i];

		if (column->source == SOURCE_REST || column->source == SOURCE_RAW ||
			(column->source == SOURCE_PATH && column->path == NIL))
			return false; /* that column has it */
	}
	return true;
}

/* ---------------------------------------------------------------- SQL */

/* A column as CREATE TABLE and ADD COLUMN take it. */
static char *
column_sql(const FormData_pg_attribute *column)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s %s", quote_identifier(NameStr(column->attname)),
					 format_type_with_typemod(column->atttypid, column->atttypmod));
	if (OidIsValid(column->attcollation) &&
		column->attcollation != get_typcollation(column->atttypid))
		appendStringInfo(&sql, " COLLATE %s", generate_collation_name(column->attcollation));
	return sql.data;
}

static const FormData_pg_attribute *
find_column(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		const FormData_pg_attribute *column = TupleDescAttr(desc, i);

		if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
			return column;
	}
	return NULL;
}

/* The columns of a relation, in the current context; the lock is kept. */
static TupleDesc
columns_of(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	TupleDesc desc = CreateTupleDescCopy(RelationGetDescr(rel));

	relation_close(rel, NoLock);
	return desc;
}

/* ---------------------------------------------------------------- making */

static void
refuse_name(Oid stream, const char *column)
{
	ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
					errmsg("column \"%s\" of stream \"%s\" has the name of a column of its archive",
						   column, get_rel_name(stream)),
					errhint("Rename it: ALTER FOREIGN TABLE … RENAME COLUMN.")));
}

/* The name that is left for what no column holds. */
static const char *
choose_rest(Oid stream, TupleDesc columns)
{
	for (size_t i = 0; i < lengthof(own_columns); i++)
		if (find_column(columns, own_columns[i].name))
			refuse_name(stream, own_columns[i].name);
	if (find_column(columns, REST) == NULL)
		return REST;
	if (find_column(columns, OTHER_REST))
		refuse_name(stream, OTHER_REST);
	return OTHER_REST;
}

static char *
archive_name(Oid stream)
{
	const char *name = get_rel_name(stream);
	int length = pg_mbcliplen(name, strlen(name), NAMEDATALEN - 1 - strlen(SUFFIX));

	return psprintf("%.*s%s", length, name, SUFFIX);
}

static void
refuse_existing(Oid stream, Oid schema, const char *name)
{
	if (!OidIsValid(get_relname_relid(name, schema)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE), errmsg("relation \"%s\" already exists", name),
			 errdetail("It is not the archive of stream \"%s\", which would have this name.",
					   get_rel_name(stream)),
			 errhint("Rename it: ALTER TABLE … RENAME TO.")));
}

static void
describe(const char *archive, const char *rest, Oid stream)
{
	define_run(
		psprintf("COMMENT ON TABLE %s IS %s", archive,
				 quote_literal_cstr(psprintf("Accepted rows of the stream %s: written by it, "
											 "changed by nobody.",
											 stream_name(stream)))));
	define_run(psprintf("COMMENT ON COLUMN %s.%s IS 'What no column of the stream holds; NULL: "
						"nothing.'",
						archive, rest));
	for (size_t i = 0; i < lengthof(own_columns); i++)
		define_run(psprintf("COMMENT ON COLUMN %s.%s IS %s", archive, own_columns[i].name,
							quote_literal_cstr(own_columns[i].comment)));
}

static void
register_archive(Oid archive, Oid stream, const char *rest)
{
	Datum values[3] = {ObjectIdGetDatum(archive), ObjectIdGetDatum(stream),
					   CStringGetTextDatum(rest)};

	catalog_execute(&add_archive, values, NULL);
	event_log(stream, "create_archive", stream_name(archive));
}

/* For backfills, which read it by windows; events come nearly in order, so the smallest index will do. */
static void
index_event_time(Oid stream, const char *archive)
{
	const char *event_time = stream_option(stream, "event_time", NULL);

	if (event_time)
		define_run(psprintf("CREATE INDEX ON %s USING brin (%s) WITH (autosummarize = on)", archive,
							quote_identifier(event_time)));
}

static Oid
make_archive(Oid stream)
{
	Oid schema = get_rel_namespace(stream);
	char *name = archive_name(stream);
	char *qualified = quote_qualified_identifier(get_namespace_name(schema), name);
	TupleDesc columns = columns_of(stream);
	const char *rest = choose_rest(stream, columns);
	StringInfoData sql;
	Oid archive;

	refuse_existing(stream, schema, name);
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", qualified);
	for (int i = 0; i < columns->natts; i++)
		if (!TupleDescAttr(columns, i)->attisdropped)
			appendStringInfo(&sql, "%s, ", column_sql(TupleDescAttr(columns, i)));
	appendStringInfo(&sql, "%s jsonb", rest);
	for (size_t i = 0; i < lengthof(own_columns); i++)
		appendStringInfo(&sql, ", %s %s NOT NULL", own_columns[i].name, own_columns[i].type);
	appendStringInfoString(&sql, ") PARTITION BY RANGE (_received_at)");
	define_run(sql.data);
	archive = get_relname_relid(name, schema);
	define_revoke_from_others(archive);
	archive_add_trigger(archive);
	index_event_time(stream, qualified);
	describe(qualified, rest, stream);
	register_archive(archive, stream, rest);
	return archive;
}

/* ---------------------------------------------------------------- following the stream */

/* A column of the stream that is new may have the name that ours had. */
static void
make_room_for_rest(Oid stream, Oid archive, TupleDesc columns)
{
	const char *rest = choose_rest(stream, columns);
	const char *current = archive_rest_column(archive);
	Datum values[2] = {ObjectIdGetDatum(archive), CStringGetTextDatum(rest)};

	if (find_column(columns, current) == NULL)
		return;
	if (strcmp(current, REST) != 0)
		refuse_name(stream, current);
	define_run(psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", stream_name(archive), REST, rest));
	catalog_execute(&rename_rest, values, NULL);
}

static void
refuse_type(Oid stream, Oid archive, const FormData_pg_attribute *column,
			const FormData_pg_attribute *archived)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_DATATYPE_MISMATCH),
		 errmsg("column \"%s\" of stream \"%s\" is of type %s, that of its archive of type %s",
				NameStr(column->attname), get_rel_name(stream),
				format_type_with_typemod(column->atttypid, column->atttypmod),
				format_type_with_typemod(archived->atttypid, archived->atttypmod)),
		 errhint("Rename the archive's column, so that a new one is made: ALTER TABLE %s RENAME "
				 "COLUMN %s TO …; or give it the type first.",
				 stream_name(archive), quote_identifier(NameStr(column->attname)))));
}

static void
follow_columns(Oid stream, Oid archive)
{
	TupleDesc columns = columns_of(stream);
	TupleDesc archived;

	make_room_for_rest(stream, archive, columns);
	archived = columns_of(archive);
	for (int i = 0; i < columns->natts; i++)
	{
		const FormData_pg_attribute *column = TupleDescAttr(columns, i);
		const FormData_pg_attribute *found;

		if (column->attisdropped)
			continue;
		found = find_column(archived, NameStr(column->attname));
		if (found == NULL)
			define_run(
				psprintf("ALTER TABLE %s ADD COLUMN %s", stream_name(archive), column_sql(column)));
		else if (found->atttypid != column->atttypid || found->atttypmod != column->atttypmod)
			refuse_type(stream, archive, column, found);
	}
}

void
archive_rename_column(Oid stream, const char *from, const char *to)
{
	Oid archive = archive_of(stream);
	TupleDesc columns;
	OwnerScope scope;

	if (!OidIsValid(archive))
		return;
	run_enter_owner(stream, &scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	make_room_for_rest(stream, archive, columns_of(stream));
	columns = columns_of(archive);
	if (find_column(columns, from) && strcmp(from, archive_rest_column(archive)) != 0)
		define_run(psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", stream_name(archive),
							quote_identifier(from), quote_identifier(to)));
	SPI_finish();
	run_leave_owner(&scope);
}

static void
refuse_owner(Oid stream, Oid archive)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("archive \"%s\" of stream \"%s\" belongs to role \"%s\"", get_rel_name(archive),
				get_rel_name(stream), GetUserNameFromId(stream_owner(archive), true)),
		 errdetail("The stream belongs to role \"%s\".",
				   GetUserNameFromId(stream_owner(stream), true)),
		 errhint("Stream and archive need one owner: ALTER TABLE … OWNER TO, of its partitions, "
				 "too, or REASSIGN OWNED.")));
}

/* Two that would make it at the same time meet at the lock. */
static Oid
find_or_make(Oid stream)
{
	Oid archive = archive_of(stream);

	if (OidIsValid(archive))
		return archive;
	LockRelationOid(stream, ShareUpdateExclusiveLock);
	archive = archive_of(stream);
	return OidIsValid(archive) ? archive : make_archive(stream);
}

/* Of days that somebody has attached, too. */
static void
add_triggers(Oid archive)
{
	ListCell *cell;

	archive_add_trigger(archive);
	foreach (cell, partition_before(archive, DT_NOEND))
		archive_add_trigger(lfirst_oid(cell));
}

/* It is used here: a copy of it, elsewhere, is another. */
static void
own(Oid archive)
{
	Datum values[2] = {ObjectIdGetDatum(archive), CStringGetTextDatum(control_identity())};

	catalog_execute(&own_archive, values, NULL);
}

static Oid
prepare(Oid stream, bool days)
{
	OwnerScope scope;
	Oid archive;

	run_enter_owner(stream, &scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	archive = find_or_make(stream);
	if (stream_owner(archive) != stream_owner(stream))
		refuse_owner(stream, archive);
	follow_columns(stream, archive);
	own(archive);
	if (days)
	{
		add_triggers(archive);
		archive_ensure_day(archive, GetCurrentTimestamp());
	}
	SPI_finish();
	run_leave_owner(&scope);
	return archive;
}

void
archive_prepare(Oid stream)
{
	if (archive_is_on(stream))
		(void) prepare(stream, true);
}

Oid
archive_complete(Oid stream)
{
	return prepare(stream, false);
}
