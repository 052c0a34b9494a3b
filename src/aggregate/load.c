/*
 * load.c - the aggregates of a stream, from the catalogue and their definition views.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "closing.h"
#include "definition.h"
#include "panes.h"
#include "rewrite_parts.h"
#include "run.h"
#include "session.h"
#include "side.h"
#include "stream.h"
#include "streamagg.h"
#include "target.h"

static CatalogStatement read_aggregates = {
	"SELECT a.aggregate, a.state_table, pg_catalog.pg_get_viewdef(a.definition),"
	" a.late = 'drop' OR a.emit = 'final', a.allowed_lateness, a.timezone, a.datestyle,"
	" a.intervalstyle, a.key_columns, a.state_columns, a.judged, a.known_columns,"
	" EXISTS (SELECT FROM streamagg.close_hook h WHERE h.aggregate = a.aggregate),"
	" a.retention, a.partition_width, a.kept"
	" FROM streamagg.aggregate_catalog a WHERE a.stream = $1"
	" AND ($2 IS NULL OR a.aggregate = $2) ORDER BY a.state_table::oid",
	2,
	{REGCLASSOID, REGCLASSOID},
	NULL};

int64
run_lateness(const Interval *interval)
{
	if (interval->month == 0 && interval->day == 0 && interval->time == 0)
		return 0;
	return window_size(interval);
}

int64
run_leaves_out_after(bool drops_late, int64 lateness, int64 retention)
{
	if (drops_late)
		return lateness;
	return retention > 0 ? retention : -1;
}

typedef struct Loaded
{
	Aggregate *aggregate;
	char *query;
	List *keys;
	List *states;
	List *knowns;
	char *judged;
} Loaded;

/* A row of read_aggregates, copied into the context. */
static Loaded *
read_row(uint64 row, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Loaded *loaded = palloc0(sizeof(Loaded));
	Aggregate *aggregate = palloc0(sizeof(Aggregate));
	bool isnull;
	char *query = catalog_string(row, 3);

	aggregate->view = DatumGetObjectId(catalog_value(row, 1, &isnull));
	aggregate->state = DatumGetObjectId(catalog_value(row, 2, &isnull));
	aggregate->lateness = run_lateness(DatumGetIntervalP(catalog_value(row, 5, &isnull)));
	aggregate->retention = retention_from(catalog_interval(row, 14), catalog_interval(row, 15),
										  catalog_interval(row, 16));
	aggregate->drops_late = DatumGetBool(catalog_value(row, 4, &isnull));
	aggregate->leaves_out_after = run_leaves_out_after(aggregate->drops_late, aggregate->lateness,
													   aggregate->retention.length);
	aggregate->timezone = pstrdup(catalog_string(row, 6));
	aggregate->datestyle = pstrdup(catalog_string(row, 7));
	aggregate->intervalstyle = pstrdup(catalog_string(row, 8));
	aggregate->name = stream_name(aggregate->view);
	loaded->aggregate = aggregate;
	if (query == NULL)
		elog(ERROR, "aggregate \"%s\" has no definition view", aggregate->name);
	loaded->query = pstrdup(query);
	loaded->keys = catalog_text_list(row, 9, context);
	loaded->states = catalog_text_list(row, 10, context);
	loaded->knowns = catalog_text_list(row, 12, context);
	loaded->judged = catalog_string(row, 11);
	if (loaded->judged)
		loaded->judged = pstrdup(loaded->judged);
	aggregate->has_hook = DatumGetBool(catalog_value(row, 13, &isnull));
	MemoryContextSwitchTo(old);
	return loaded;
}

/* A pair of row and window is late by itself: the statement asks late.c for each. */
static void
carry_row(Definition *definition)
{
	Var *row = makeVar(definition->stream_index, SelfItemPointerAttributeNumber, TIDOID, -1,
					   InvalidOid, 0);

	if (!window_is_multiple(&definition->window))
		return;
	rewrite_add_target(&definition->carried, (Node *) row, "_row");
	definition->condition =
		psprintf("streamagg.batch_takes(%s, i._row)", rewrite_pair_end(definition, 0));
}

/* side: 0: the groups; from 1: a side table, and what its new values add to them. */
static BatchStatement *
make_statement(const Definition *definition, const char *state, int side)
{
	BatchStatement *statement = palloc0(sizeof(BatchStatement));
	Definition *part = definition_part(definition, side);
	Definition *panes = panes_definition(part);
	Upsert *upsert;

	statement->name = side == 0 ? state : definition->sides[side - 1];
	if (definition->window.kind != WINDOW_SESSION)
		statement->grouping = grouping_create(part, panes != NULL);
	statement->by_panes = panes != NULL && statement->grouping != NULL;
	upsert = side == 0 ? rewrite_upsert(definition, state, statement->grouping != NULL)
					   : rewrite_distinct(definition, side, state, statement->grouping != NULL);
	statement->upsert = upsert;
	statement->rows.sql = statement->by_panes ? rewrite_rows(panes) : upsert->rows;
	statement->moves.sql = upsert->moves;
	statement->whole.sql =
		rewrite_upsert_sql(upsert, upsert->groups ? upsert->groups : upsert->insert, NULL);
	return statement;
}

static void
understand(Loaded *loaded)
{
	Aggregate *aggregate = loaded->aggregate;
	Definition *definition;
	ListCell *cell;

	aggregate->tables = lcons_oid(aggregate->state, side_tables(aggregate->state));
	foreach (cell, aggregate->tables)
		target_check(lfirst_oid(cell), aggregate->name);
	definition = definition_analyze(definition_parse(loaded->query));
	definition_set_columns(definition, loaded->keys, loaded->states, loaded->knowns);
	side_load(definition, aggregate->state);
	aggregate->definition = definition;
	aggregate->judged = definition->window;
	if (loaded->judged)
		window_from_text(loaded->judged, &aggregate->judged);
	definition->drops_late = aggregate->drops_late;
	aggregate->columns = definition_columns(definition);
	if (definition->window.kind == WINDOW_SESSION)
		aggregate->sessions = session_create(definition, aggregate->state, aggregate->lateness);
	aggregate->closing.sql =
		closing_sql(definition, stream_name(aggregate->state), aggregate->lateness);
	if (aggregate->leaves_out_after >= 0)
		carry_row(definition);
	for (int i = 0; i <= definition->nsides; i++)
		aggregate->statements = lappend(
			aggregate->statements, make_statement(definition, stream_name(aggregate->state), i));
}

/* All aggregates of the stream, or one. */
static List *
load(Oid stream, Oid view)
{
	MemoryContext context = CurrentMemoryContext;
	Datum arguments[2] = {ObjectIdGetDatum(stream), ObjectIdGetDatum(view)};
	List *loaded = NIL;
	List *aggregates = NIL;
	int level = NewGUCNestLevel();
	CatalogScope scope;
	uint64 rows;
	ListCell *cell;

	run_apply_neutral_settings();
	catalog_enter(&scope);
	rows = catalog_run(&read_aggregates, arguments, OidIsValid(view) ? NULL : " n");
	for (uint64 i = 0; i < rows; i++)
	{
		Loaded *row = read_row(i, context);
		MemoryContext old = MemoryContextSwitchTo(context);

		loaded = lappend(loaded, row);
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	foreach (cell, loaded)
	{
		Loaded *row = lfirst(cell);

		understand(row);
		aggregates = lappend(aggregates, row->aggregate);
	}
	AtEOXact_GUC(true, level);
	return aggregates;
}

List *
run_load(Oid stream)
{
	return load(stream, InvalidOid);
}

Aggregate *
run_load_one(Oid stream, Oid view)
{
	List *found = load(stream, view);

	if (found == NIL)
		elog(ERROR, "aggregate \"%s\" is gone", stream_name(view));
	return linitial(found);
}

static List *
add_statement(List *statements, const char *name, const char *sql)
{
	RunStatement *statement = palloc(sizeof(RunStatement));

	statement->name = name;
	statement->sql = sql;
	return lappend(statements, statement);
}

List *
run_statements(const Aggregate *aggregate)
{
	List *statements = NIL;
	ListCell *cell;

	foreach (cell, aggregate->statements)
	{
		const BatchStatement *statement = lfirst(cell);
		const char *of = foreach_current_index(cell) ? psprintf(" of %s", statement->name) : "";

		if (statement->grouping || aggregate->sessions)
			statements = add_statement(statements, psprintf("rows%s", of), statement->rows.sql);
		statements = add_statement(statements, psprintf("upsert%s", of), statement->whole.sql);
		if (statement->moves.sql)
			statements = add_statement(statements, "moves", statement->moves.sql);
	}
	return statements;
}

Bitmapset *
run_columns(const List *aggregates)
{
	Bitmapset *columns = NULL;
	ListCell *cell;

	foreach (cell, aggregates)
		columns = bms_add_members(columns, ((Aggregate *) lfirst(cell))->columns);
	return columns;
}

void
run_free_plan(OwnPlan *own)
{
	if (own->plan)
		SPI_freeplan(own->plan);
	own->plan = NULL;
}

void
run_free(List *aggregates)
{
	ListCell *cell;

	foreach (cell, aggregates)
	{
		Aggregate *aggregate = lfirst(cell);
		ListCell *inner;

		run_free_plan(&aggregate->closing);
		foreach (inner, aggregate->statements)
		{
			BatchStatement *statement = lfirst(inner);

			run_free_plan(&statement->rows);
			run_free_plan(&statement->whole);
			run_free_plan(&statement->moves);
		}
	}
}
