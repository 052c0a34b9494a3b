/*
 * on_close.c - streamagg.on_close(): the command that runs when windows of an aggregate close.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "define.h"
#include "event.h"
#include "run.h"
#include "source.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_on_close);

/* What failed before is tried at once: the new command may be the cure. */
static CatalogStatement set_hook = {
	"WITH h AS (INSERT INTO streamagg.close_hook AS h (aggregate, command) SELECT $1, $2"
	" ON CONFLICT (aggregate) DO UPDATE SET command = excluded.command, since = excluded.since,"
	" last_sqlstate = NULL, last_error = NULL, last_failed_at = NULL)"
	" UPDATE streamagg.close_queue SET next_try = '-infinity' WHERE aggregate = $1",
	2,
	{REGCLASSOID, TEXTOID},
	NULL};

static CatalogStatement remove_hook = {
	"WITH h AS (DELETE FROM streamagg.close_hook WHERE aggregate = $1)"
	" DELETE FROM streamagg.close_queue WHERE aggregate = $1",
	1,
	{REGCLASSOID},
	NULL};

/* A SELECT INTO makes a table. */
static bool
is_plain_select(const Node *statement)
{
	const SelectStmt *select = (const SelectStmt *) statement;

	if (!IsA(statement, SelectStmt))
		return false;
	while (select->op != SETOP_NONE)
		select = select->larg;
	return select->intoClause == NULL;
}

static bool
reads_or_writes_rows(const Node *statement)
{
	return is_plain_select(statement) || IsA(statement, InsertStmt) || IsA(statement, UpdateStmt) ||
		   IsA(statement, DeleteStmt) || IsA(statement, MergeStmt) || IsA(statement, CallStmt);
}

/*
 * Raises what is wrong with a command: 42601 for anything but one statement that reads or writes rows,
 * PostgreSQL's own errors for what it names.
 */
static void
check_command(const char *command)
{
	static Oid types[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	List *parsed = raw_parser(command, RAW_PARSE_DEFAULT);

	if (list_length(parsed) != 1 || !reads_or_writes_rows(linitial_node(RawStmt, parsed)->stmt))
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("command must be one INSERT, UPDATE, DELETE, MERGE, SELECT or CALL"),
						errhint("It runs once for each closed window; $1 is the window's start, $2 "
								"its end. A procedure may hold more statements.")));
	if (SPI_connect() != SPI_OK_CONNECT || SPI_prepare(command, lengthof(types), types) == NULL)
		elog(ERROR, "could not prepare the command");
	SPI_finish();
}

static void
require_window(Oid view)
{
	if (source_load(view)->definition->nwindow == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("aggregate \"%s\" has no time windows", get_rel_name(view)),
						errdetail("A running total is never closed.")));
}

/*
 * streamagg.on_close(aggregate, command).  NULL removes the command, and forgets the windows that wait for
 * it.  Errors: 42501 for others than members of the stream's owner, 55000 without windows, 42601 and
 * PostgreSQL's own for the command.
 */
Datum
streamagg_on_close(PG_FUNCTION_ARGS)
{
	Datum values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	OwnerScope scope;
	Oid stream;

	streamagg_require_preload();
	PreventCommandDuringRecovery("on_close()");
	catalog_check_version();
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument aggregate must not be null")));
	stream = source_stream(PG_GETARG_OID(0));
	stream_require_owner(stream);
	if (!PG_ARGISNULL(1))
	{
		/* as it will run: with names qualified */
		run_enter_owner(stream, &scope);
		require_window(PG_GETARG_OID(0));
		check_command(text_to_cstring(PG_GETARG_TEXT_PP(1)));
		run_leave_owner(&scope);
	}
	catalog_execute(PG_ARGISNULL(1) ? &remove_hook : &set_hook, values, NULL);
	event_log(stream, "on_close", stream_name(PG_GETARG_OID(0)));
	/* a running worker loads its definitions anew */
	CacheInvalidateRelcacheByRelid(stream);
	PG_RETURN_VOID();
}
