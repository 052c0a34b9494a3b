/*
 * hooks.c - the event triggers: what DROP leaves behind, what CREATE and ALTER FOREIGN TABLE made.
 *
 * They are C functions because they must reach the internal tables for ordinary users, too.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "aggregate/define.h"
#include "aggregate/rules.h"
#include "archive.h"
#include "catalog.h"
#include "event.h"
#include "options.h"
#include "progress.h"
#include "stream.h"
#include "streamagg.h"
#include "worker/control.h"

PG_FUNCTION_INFO_V1(streamagg_on_sql_drop);
PG_FUNCTION_INFO_V1(streamagg_on_ddl_end);

static CatalogStatement dropped_relations = {
	"SELECT d.objid, d.object_identity, s.stream IS NOT NULL, a.aggregate IS NOT NULL,"
	" r.archive IS NOT NULL"
	" FROM pg_catalog.pg_event_trigger_dropped_objects() d"
	" LEFT JOIN streamagg.stream_catalog s ON s.stream = d.objid"
	" LEFT JOIN streamagg.aggregate_catalog a ON a.aggregate = d.objid"
	" LEFT JOIN streamagg.archive_catalog r ON r.archive = d.objid"
	" WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0"
	" ORDER BY a.aggregate IS NULL, s.stream IS NULL",
	0,
	{InvalidOid},
	NULL};

static CatalogStatement orphaned_aggregates = {
	"SELECT a.aggregate FROM streamagg.aggregate_catalog a WHERE a.definition IS NOT NULL"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = a.definition)",
	0,
	{InvalidOid},
	NULL};

static CatalogStatement changed_tables = {"SELECT DISTINCT objid, command_tag LIKE 'CREATE%'"
										  " FROM pg_catalog.pg_event_trigger_ddl_commands()"
										  " WHERE classid = 'pg_catalog.pg_class'::regclass",
										  0,
										  {InvalidOid},
										  NULL};

static void
require_event_trigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("this function must be called as an event trigger")));
}

/* DROP … IF EXISTS of the definition is pg_restore --clean: it drops the view right afterwards. */
static bool
is_clean_restore(FunctionCallInfo fcinfo)
{
	Node *statement = ((EventTriggerData *) fcinfo->context)->parsetree;

	return IsA(statement, DropStmt) && ((DropStmt *) statement)->missing_ok;
}

/* The definition view alone was dropped: the aggregate could not go on. */
static void
judge_orphans(FunctionCallInfo fcinfo)
{
	CatalogScope scope;

	if (is_clean_restore(fcinfo))
	{
		define_freeze_undefined();
		return;
	}
	catalog_enter(&scope);
	if (catalog_run(&orphaned_aggregates, NULL, NULL) > 0)
	{
		const char *name = catalog_string(0, 1);

		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("cannot drop the definition of aggregate %s", name),
						errhint("Use DROP VIEW %s to drop the aggregate.", name)));
	}
	catalog_leave(&scope);
}

typedef struct Dropped
{
	Oid relid;
	char *name;
	bool is_stream;
	bool is_aggregate;
	bool is_archive;
} Dropped;

static void
forget(const Dropped *dropped)
{
	if (dropped->is_aggregate)
	{
		define_forget_aggregate(dropped->relid);
		event_log(InvalidOid, "drop_aggregate", dropped->name);
	}
	if (dropped->is_stream)
	{
		define_freeze_aggregates(dropped->relid);
		archive_forget_stream(dropped->relid);
		control_forget(dropped->relid);
		progress_forget(dropped->relid, dropped->name);
		event_log(InvalidOid, "drop_stream", dropped->name);
	}
}

/* streamagg.on_sql_drop(): aggregates first, so that a stream's freeze finds only those that stay. */
Datum
streamagg_on_sql_drop(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	CatalogScope scope;
	List *all = NIL;
	ListCell *cell;
	uint64 rows;
	bool isnull;

	require_event_trigger(fcinfo);
	if (!catalog_is_installed())
		PG_RETURN_NULL();
	rules_forget_dropped();
	catalog_enter(&scope);
	rows = catalog_run(&dropped_relations, NULL, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Dropped *dropped = palloc(sizeof(Dropped));

		dropped->relid = DatumGetObjectId(catalog_value(i, 1, &isnull));
		dropped->name = pstrdup(catalog_string(i, 2));
		dropped->is_stream = DatumGetBool(catalog_value(i, 3, &isnull));
		dropped->is_aggregate = DatumGetBool(catalog_value(i, 4, &isnull));
		dropped->is_archive = DatumGetBool(catalog_value(i, 5, &isnull));
		all = lappend(all, dropped);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	foreach (cell, all)
		forget(lfirst(cell));
	foreach (cell, all)
		if (((Dropped *) lfirst(cell))->is_archive)
			archive_forget(((Dropped *) lfirst(cell))->relid, is_clean_restore(fcinfo));
	archive_check_dropped();
	judge_orphans(fcinfo);
	PG_RETURN_NULL();
}

/*
 * Loads the stream as a worker would: its errors are what is wrong with the definition.  One that
 * is still without event_time may be completed by ALTER.
 */
static void
check_stream(Oid relid, const char *event)
{
	if (!stream_is_stream(relid))
		return;
	if (stream_option(relid, "event_time", NULL) != NULL || define_count(relid) > 0)
		stream_free(stream_load(relid, CurrentMemoryContext));
	control_check_fixed_options(relid);
	event_log(relid, event, NULL);
}

/* Whether the statement sets the option: dumps set it by CREATE only, and bring the table. */
static bool
sets_archive(FunctionCallInfo fcinfo)
{
	Node *statement = ((EventTriggerData *) fcinfo->context)->parsetree;
	ListCell *cell;

	if (!IsA(statement, AlterTableStmt))
		return false;
	foreach (cell, ((AlterTableStmt *) statement)->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_GenericOptions &&
			options_get((List *) command->def, "archive", NULL))
			return true;
	}
	return false;
}

/* An archive follows its stream at once, so that what it cannot follow is refused here. */
static void
tend_archive(FunctionCallInfo fcinfo, Oid relid)
{
	if (!stream_is_stream(relid))
		archive_check_triggers(relid);
	else if (sets_archive(fcinfo) || (archive_is_on(relid) && OidIsValid(archive_of(relid))))
		archive_prepare(relid);
}

static void
alter_stream(const char *sql)
{
	if (SPI_connect() != SPI_OK_CONNECT || SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run \"%s\"", sql);
	SPI_finish();
}

static void
add_column_option(const char *stream, const char *column, const char *option, const char *value)
{
	alter_stream(psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s OPTIONS (ADD %s %s)", stream,
						  quote_identifier(column), option, quote_literal_cstr(value)));
}

/* In one statement: between two of them the stream would be checked. */
static void
follow_table_options(Oid relid, const RenameStmt *rename)
{
	static const char *const options[] = {"event_time", "dedup_key"};
	StringInfoData sets;

	initStringInfo(&sets);
	for (size_t i = 0; i < lengthof(options); i++)
		if (strcmp(stream_option(relid, options[i], ""), rename->subname) == 0)
			appendStringInfo(&sets, "%sSET %s %s", sets.len ? ", " : "", options[i],
							 quote_literal_cstr(rename->newname));
	if (sets.len > 0)
		alter_stream(
			psprintf("ALTER FOREIGN TABLE %s OPTIONS (%s)", stream_name(relid), sets.data));
}

/*
 * A renamed column is read from where it was, makes the pseudonyms that it made, and is still the
 * event time if it was.
 */
static void
follow_rename(Oid relid, const RenameStmt *rename)
{
	List *options;
	char *name = stream_name(relid);

	archive_rename_column(relid, rename->subname, rename->newname);
	follow_table_options(relid, rename);
	options = GetForeignColumnOptions(relid, get_attnum(relid, rename->newname));
	if (options_get(options, "path", NULL) == NULL && options_get(options, "meta", NULL) == NULL)
		add_column_option(name, rename->newname, "path", stream_default_path(rename->subname));
	if (strcmp(options_get(options, "protect", ""), "hmac") == 0 &&
		options_get(options, "domain", NULL) == NULL)
		add_column_option(name, rename->newname, "domain", rename->subname);
}

static const RenameStmt *
column_rename(FunctionCallInfo fcinfo)
{
	Node *statement = ((EventTriggerData *) fcinfo->context)->parsetree;

	if (!IsA(statement, RenameStmt) || ((RenameStmt *) statement)->renameType != OBJECT_COLUMN)
		return NULL;
	return (RenameStmt *) statement;
}

typedef struct Changed
{
	Oid relid;
	bool created;
} Changed;

/* streamagg.on_ddl_end() */
Datum
streamagg_on_ddl_end(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	CatalogScope scope;
	List *all = NIL;
	ListCell *cell;
	uint64 rows;
	bool isnull;

	require_event_trigger(fcinfo);
	catalog_enter(&scope);
	rows = catalog_run(&changed_tables, NULL, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Changed *changed = palloc(sizeof(Changed));

		changed->relid = DatumGetObjectId(catalog_value(i, 1, &isnull));
		changed->created = DatumGetBool(catalog_value(i, 2, &isnull));
		all = lappend(all, changed);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	foreach (cell, all)
	{
		const Changed *changed = lfirst(cell);
		const RenameStmt *rename = column_rename(fcinfo);

		if (rename && stream_is_stream(changed->relid))
			follow_rename(changed->relid, rename);
		check_stream(changed->relid, changed->created ? "create_stream" : "alter_stream");
		tend_archive(fcinfo, changed->relid);
	}
	PG_RETURN_NULL();
}
