/*
 * define.c - makes the objects of an aggregate.
 *
 * An aggregate is three relations of the stream's owner: the view that people read, the state table
 * (an internal part of the view: DROP VIEW takes it along) and the definition view, which holds the
 * query, so that renames are followed and drops of used columns refused.  The catalogue row names
 * them.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "catalog.h"
#include "define.h"
#include "definition.h"
#include "rewrite.h"
#include "rules.h"
#include "run.h"
#include "side.h"
#include "stream.h"
#include "streamagg.h"

static CatalogStatement insert_aggregate = {
	"INSERT INTO streamagg.aggregate_catalog (state_table, aggregate, definition, stream, late,"
	" allowed_lateness, emit, timezone, datestyle, intervalstyle, key_columns, state_columns,"
	" retention, partition_width, kept)"
	" SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
	" $14 * interval '1 microsecond', $15 * interval '1 microsecond'",
	15,
	{REGCLASSOID, REGCLASSOID, REGCLASSOID, REGCLASSOID, TEXTOID, INTERVALOID, TEXTOID, TEXTOID,
	 TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, INTERVALOID, INT8OID, INT8OID},
	NULL};

static CatalogStatement read_existing = {
	"SELECT state_table, definition, late, allowed_lateness, emit, judged IS NOT NULL, retention"
	" FROM streamagg.aggregate_catalog WHERE aggregate = $1",
	1,
	{REGCLASSOID},
	NULL};

Existing
define_take_policies(Request *request, Oid aggregate)
{
	MemoryContext context = CurrentMemoryContext;
	Datum value = ObjectIdGetDatum(aggregate);
	Existing existing;
	CatalogScope scope;
	MemoryContext inner;
	bool isnull;

	catalog_enter(&scope);
	(void) catalog_run(&read_existing, &value, NULL);
	inner = MemoryContextSwitchTo(context);
	existing.state = DatumGetObjectId(catalog_value(0, 1, &isnull));
	existing.query_view = DatumGetObjectId(catalog_value(0, 2, &isnull));
	existing.is_rollup = DatumGetBool(catalog_value(0, 6, &isnull));
	request->late = pstrdup(catalog_string(0, 3));
	request->lateness = palloc(sizeof(Interval));
	*request->lateness = *DatumGetIntervalP(catalog_value(0, 4, &isnull));
	request->emit = pstrdup(catalog_string(0, 5));
	request->length = catalog_interval(0, 7);
	MemoryContextSwitchTo(inner);
	catalog_leave(&scope);
	return existing;
}

/* ---------------------------------------------------------------- objects */

char *
define_part_name(const char *name, const char *suffix)
{
	int room = NAMEDATALEN - 1 - (int) strlen(suffix);

	return psprintf("%.*s%s", pg_mbcliplen(name, strlen(name), room), name, suffix);
}

char *
define_name(const Request *request, const char *suffix)
{
	return quote_qualified_identifier(request->schema, define_part_name(request->name, suffix));
}

static Oid
relation_oid(const char *qualified_name)
{
	return DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(qualified_name)));
}

void
define_run(const char *sql)
{
	int result = SPI_execute(sql, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "unexpected result of \"%s\": %s", sql, SPI_result_code_string(result));
}

static void
refuse_reserved_columns(const Query *query)
{
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		const TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk && (strcmp(target->resname, "is_final") == 0 ||
								 strcmp(target->resname, "updated_at") == 0))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is added by the aggregate's view", target->resname),
					 errhint("Give the query's column another name with AS.")));
	}
}

/* Parsed in the caller's search_path; afterwards the definition view's text is the query. */
static void
make_definition_view(Request *request)
{
	Query *query = definition_parse(request->query);
	char *name = define_name(request, "_query");

	refuse_reserved_columns(query);
	(void) definition_analyze(query);
	define_run(psprintf("CREATE VIEW %s AS %s", name, request->query));
	CommandCounterIncrement();
	request->query_view = relation_oid(name);
}

/* pg_get_viewdef reads in the active snapshot, which must see the view that was just made. */
char *
define_text(Oid view)
{
	Datum found;

	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	found = DirectFunctionCall1(pg_get_viewdef, ObjectIdGetDatum(view));
	PopActiveSnapshot();
	return TextDatumGetCString(found);
}

void
define_view(const Request *request, const char *create, const Definition *definition,
			const char *state)
{
	bool final = strcmp(request->emit, "final") == 0;
	/* what it leaves out is not for functions of its readers either */
	bool filters = final || definition->query->havingQual != NULL;

	define_run(psprintf("%s %s AS %s", create, filters ? "WITH (security_barrier)" : "",
						rewrite_view(definition, state, run_lateness(request->lateness), final)));
}

/* With the safe search_path: names in the definition's text are qualified. */
static void
make_state_and_view(Request *request)
{
	char *state = define_name(request, "_state");
	char *view = define_name(request, "");
	char *index;

	request->definition = definition_analyze(definition_parse(define_text(request->query_view)));
	definition_name_columns(request->definition);
	request->definition->drops_late =
		strcmp(request->emit, "final") == 0 || strcmp(request->late, "drop") == 0;
	if (request->length)
		request->retention = retention_plan(&request->definition->window, request->length,
											run_lateness(request->lateness));
	define_run(rewrite_create_table(request->definition, state, request->length != NULL));
	CommandCounterIncrement();
	index = rewrite_create_index(request->definition, state);
	if (index)
		define_run(index);
	request->state = relation_oid(state);
	side_make(request);
	define_view(request, psprintf("CREATE VIEW %s", view), request->definition, state);
	CommandCounterIncrement();
	request->view = relation_oid(view);
}

/* DROP VIEW takes all; DROP of the stream, CASCADE, the definition view only. */
static void
tie_together(const Request *request)
{
	ObjectAddress view;
	ObjectAddress state;
	ObjectAddress query_view;

	ObjectAddressSet(view, RelationRelationId, request->view);
	ObjectAddressSet(state, RelationRelationId, request->state);
	ObjectAddressSet(query_view, RelationRelationId, request->query_view);
	recordDependencyOn(&state, &view, DEPENDENCY_INTERNAL);
	recordDependencyOn(&query_view, &view, DEPENDENCY_AUTO);
}

/* Default privileges are meant for what people read: state and definition are not. */
void
define_revoke_from_others(Oid relation)
{
	char *name = stream_name(relation);
	uint64 rows;

	if (SPI_execute(psprintf("SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' "
							 "ELSE quote_ident(pg_get_userbyid(a.grantee)) END "
							 "FROM pg_class c, aclexplode(c.relacl) a "
							 "WHERE c.oid = %u AND a.grantee <> c.relowner",
							 relation),
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the grants of %s", name);
	rows = SPI_processed;
	for (uint64 i = 0; i < rows; i++)
	{
		SPITupleTable *table = SPI_tuptable;
		char *grantee = SPI_getvalue(table->vals[i], table->tupdesc, 1);

		define_run(psprintf("REVOKE ALL ON %s FROM %s", name, grantee));
		SPI_tuptable = table;
	}
}

static void
describe(const Request *request)
{
	char *view = define_name(request, "");

	define_run(psprintf("COMMENT ON VIEW %s IS %s", view,
						quote_literal_cstr(psprintf("Continuous aggregate over %s.",
													stream_name(request->stream)))));
	define_run(
		psprintf("COMMENT ON COLUMN %s.is_final IS 'The window is closed: with late ''drop'' "
				 "the row does not change any more.'",
				 view));
	define_run(psprintf("COMMENT ON COLUMN %s.updated_at IS 'Start of the transaction that changed "
						"the row last.'",
						view));
	define_run(psprintf("COMMENT ON TABLE %s IS 'State of a continuous aggregate: written by its "
						"stream.'",
						define_name(request, "_state")));
	define_run(psprintf("COMMENT ON VIEW %s IS 'Definition of a continuous aggregate: not for "
						"reading.'",
						define_name(request, "_query")));
}

/* ---------------------------------------------------------------- catalogue */

Datum
define_names_array(List *names)
{
	Datum *values = palloc(sizeof(Datum) * Max(list_length(names), 1));
	ListCell *cell;
	int n = 0;

	foreach (cell, names)
		values[n++] = CStringGetTextDatum((char *) lfirst(cell));
	return catalog_array(values, NULL, n, TEXTOID);
}

static void
register_aggregate(const Request *request)
{
	const Definition *definition = request->definition;
	List *keys = NIL;
	List *states = NIL;
	Datum values[15];
	char nulls[16] = "               ";

	for (int i = 0; i < definition->nkeys; i++)
		keys = lappend(keys, definition->keys[i].column);
	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; j < definition->calls[i].rule->count; j++)
			states = lappend(states, definition->calls[i].columns[j]);
	values[0] = ObjectIdGetDatum(request->state);
	values[1] = ObjectIdGetDatum(request->view);
	values[2] = ObjectIdGetDatum(request->query_view);
	values[3] = ObjectIdGetDatum(request->stream);
	values[4] = CStringGetTextDatum(request->late);
	values[5] = IntervalPGetDatum(request->lateness);
	values[6] = CStringGetTextDatum(request->emit);
	values[7] = CStringGetTextDatum(request->timezone);
	values[8] = CStringGetTextDatum(request->datestyle);
	values[9] = CStringGetTextDatum(request->intervalstyle);
	values[10] = define_names_array(keys);
	values[11] = define_names_array(states);
	values[12] = IntervalPGetDatum(request->length);
	values[13] = Int64GetDatum(request->retention.width);
	values[14] = Int64GetDatum(request->retention.kept);
	if (request->length == NULL)
		memset(nulls + 12, 'n', 3);
	catalog_execute(&insert_aggregate, values, nulls);
}

/* A query without GROUP BY shows its one row from the start. */
static void
make_first_row(const Request *request)
{
	Upsert *upsert;

	if (request->definition->nkeys > 0)
		return;
	upsert = rewrite_upsert(request->definition, define_name(request, "_state"), false);
	run_empty(request->stream, rewrite_upsert_sql(upsert, upsert->insert, NULL));
}

/* ---------------------------------------------------------------- all of it */

void
define_build(Request *request)
{
	int level;

	rules_lock(RowShareLock);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	make_definition_view(request);
	level = NewGUCNestLevel();
	catalog_pin_search_path();
	run_apply_neutral_settings();
	make_state_and_view(request);
	tie_together(request);
	side_tie(request);
	define_revoke_from_others(request->state);
	define_revoke_from_others(request->query_view);
	describe(request);
	make_first_row(request);
	AtEOXact_GUC(true, level);
	register_aggregate(request); /* the definition lives in SPI's memory */
	SPI_finish();
}

Oid
define_stream(const char *sql)
{
	Query *query = definition_parse(sql);

	definition_inspect_shape(query);
	return rt_fetch(definition_find_stream(query), query->rtable)->relid;
}
