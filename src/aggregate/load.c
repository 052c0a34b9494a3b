/*
 * load.c - the aggregates of a stream, from the catalogue and their definition views.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "definition.h"
#include "run.h"
#include "session.h"
#include "stream.h"
#include "streamagg.h"
#include "target.h"

static CatalogStatement read_aggregates = {
	"SELECT a.aggregate, a.state_table, pg_catalog.pg_get_viewdef(a.definition),"
	" a.late = 'drop' OR a.emit = 'final', a.allowed_lateness, a.timezone, a.datestyle,"
	" a.intervalstyle, a.key_columns, a.state_columns"
	" FROM streamagg.aggregate_catalog a WHERE a.stream = $1 ORDER BY a.state_table::oid",
	1,
	{REGCLASSOID},
	NULL};

int64
run_lateness(const Interval *interval)
{
	if (interval->month == 0 && interval->day == 0 && interval->time == 0)
		return 0;
	return window_size(interval);
}

typedef struct Loaded
{
	Aggregate *aggregate;
	char *query;
	List *keys;
	List *states;
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
	aggregate->drops_late = DatumGetBool(catalog_value(row, 4, &isnull));
	aggregate->lateness = run_lateness(DatumGetIntervalP(catalog_value(row, 5, &isnull)));
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
	MemoryContextSwitchTo(old);
	return loaded;
}

static void
understand(Loaded *loaded)
{
	Aggregate *aggregate = loaded->aggregate;
	Definition *definition;
	Upsert *upsert;

	target_check(aggregate->state, aggregate->name);
	definition = definition_analyze(definition_parse(loaded->query));
	definition_set_columns(definition, loaded->keys, loaded->states);
	definition->drops_late = aggregate->drops_late;
	aggregate->window = definition->window;
	aggregate->columns = definition_columns(definition);
	if (definition->window.kind == WINDOW_SESSION)
		aggregate->sessions = session_create(definition, aggregate->state, aggregate->lateness);
	else
		aggregate->grouping = grouping_create(definition);
	upsert = rewrite_upsert(definition, stream_name(aggregate->state), aggregate->grouping != NULL);
	aggregate->upsert = upsert;
	aggregate->rows.sql = upsert->rows;
	aggregate->moves.sql = upsert->moves;
	aggregate->whole.sql =
		rewrite_upsert_sql(upsert, upsert->groups ? upsert->groups : upsert->insert, NULL);
}

List *
run_load(Oid stream)
{
	MemoryContext context = CurrentMemoryContext;
	Datum argument = ObjectIdGetDatum(stream);
	List *loaded = NIL;
	List *aggregates = NIL;
	int level = NewGUCNestLevel();
	CatalogScope scope;
	uint64 rows;
	ListCell *cell;

	run_apply_neutral_settings();
	catalog_enter(&scope);
	rows = catalog_run(&read_aggregates, &argument, NULL);
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

		run_free_plan(&aggregate->rows);
		run_free_plan(&aggregate->whole);
		run_free_plan(&aggregate->moves);
	}
}
