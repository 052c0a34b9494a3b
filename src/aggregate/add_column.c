/*
 * add_column.c - streamagg.add_column(): another output column for an aggregate.
 *
 * The state table gets columns for what the expression aggregates, behind the others, and the view the
 * output behind updated_at, so that it stays, with its grants and what depends on it.  What was before
 * is computed anew, or is not known: a marker column is true for groups made from now on, and as long as
 * it is not, the new columns stay NULL, whatever rows the group still gets.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "backfill.h"
#include "catalog.h"
#include "define.h"
#include "event.h"
#include "expression.h"
#include "rewrite.h"
#include "rules.h"
#include "run.h"
#include "source.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_add_column);

static CatalogStatement store_columns = {
	"UPDATE streamagg.aggregate_catalog SET state_columns = $2, known_columns = $3,"
	" added_columns = added_columns + 1 WHERE aggregate = $1",
	3,
	{REGCLASSOID, TEXTARRAYOID, TEXTARRAYOID},
	NULL};

typedef struct Addition
{
	Oid view;
	Source *source; /* as it was */
	Existing existing;
	Request request; /* its policies */
	Definition *definition;
	char *marker; /* the column that says whether a group has the new values; NULL: all have */
} Addition;

/* ---------------------------------------------------------------- the columns */

static List *
column_names(Oid relation)
{
	Relation rel = relation_open(relation, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	List *names = NIL;

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			names = lappend(names, pstrdup(NameStr(TupleDescAttr(desc, i)->attname)));
	relation_close(rel, NoLock);
	return names;
}

static const Call *
find_old(const Definition *old, const Call *call)
{
	for (int i = 0; i < old->ncalls; i++)
		if (equal(old->calls[i].aggref, call->aggref))
			return &old->calls[i];
	return NULL;
}

/* Keys and calls that were there stay where they are. */
static void
name_columns(Addition *addition)
{
	const Definition *old = addition->source->definition;
	Definition *definition = addition->definition;

	for (int i = 0; i < definition->nkeys; i++)
		definition->keys[i].column = old->keys[i].column;
	for (int i = 0; i < definition->ncalls; i++)
	{
		Call *call = &definition->calls[i];
		const Call *found = find_old(old, call);

		call->is_new = found == NULL;
		call->columns = found ? found->columns : NULL;
		call->known = found ? found->known : NULL;
	}
	definition_name_new_calls(definition, column_names(addition->existing.state));
}

/* A name for the marker that the state has not: a key may be called so. */
static char *
marker_name(const Addition *addition)
{
	for (int i = addition->definition->added;; i++)
	{
		char *name = psprintf("_known%d", i);

		if (get_attnum(addition->existing.state, name) == InvalidAttrNumber)
			return name;
	}
}

/* Groups that are there have none of the new values, unless all is computed anew. */
static void
mark_groups(Addition *addition)
{
	Definition *definition = addition->definition;
	char *marker = marker_name(addition);

	for (int i = 0; i < definition->ncalls; i++)
		if (definition->calls[i].is_new)
			definition->calls[i].known = addition->marker = marker;
}

static void
alter_state(const Addition *addition)
{
	const char *state = stream_name(addition->existing.state);
	ListCell *cell;

	foreach (cell, rewrite_new_columns(addition->definition))
		define_run(psprintf("ALTER TABLE %s ADD COLUMN %s", state, (char *) lfirst(cell)));
	if (addition->marker == NULL)
		return;
	define_run(psprintf("ALTER TABLE %s ADD COLUMN %s boolean", state, addition->marker));
	define_run(
		psprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT true", state, addition->marker));
}

/* ---------------------------------------------------------------- the definition */

/*
 * As the text of the definition view is read: names mean PostgreSQL's own, or are qualified.  But the
 * expression's constants mean what they would have meant in the query; those of the text are in no need
 * of settings, as it is printed under neutral ones.
 */
static void
analyze(Addition *addition, const char *name, const char *expression)
{
	ErrorContextCallback callback = {error_context_stack, expression_place_error,
									 pstrdup(expression)};
	const Source *source = addition->source;
	const char *text = define_text(addition->existing.query_view);
	Node *parsed = expression_parse(expression);
	Query *query;

	if (parsed == NULL)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("argument expression must be one expression"),
						errhint("It stands in the SELECT list of the aggregate's query, such as "
								"max(amount).")));
	error_context_stack = &callback;
	run_apply_settings(source->timezone, source->datestyle, source->intervalstyle);
	query = definition_parse_with(text, parsed, name);
	run_apply_neutral_settings();
	error_context_stack = callback.previous;
	addition->definition = definition_analyze(query);
	addition->definition->added = addition->source->definition->added + 1;
	name_columns(addition);
	for (int i = 0; i < addition->definition->ncalls; i++)
		if (addition->definition->calls[i].is_new && addition->definition->calls[i].side)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("a column over DISTINCT values cannot be added"),
							errhint("Use streamagg.replace_aggregate().")));
}

/* The settings of the definition are not those of the caller: constants are read under them. */
static void
change_views(const Addition *addition)
{
	define_run(psprintf("CREATE OR REPLACE VIEW %s AS %s",
						stream_name(addition->existing.query_view),
						pg_get_querydef(copyObject(addition->definition->query), false)));
	define_view(&addition->request,
				psprintf("CREATE OR REPLACE VIEW %s", stream_name(addition->view)),
				addition->definition, stream_name(addition->existing.state));
}

static void
store(const Addition *addition)
{
	const Definition *definition = addition->definition;
	List *states = NIL;
	List *knowns = NIL;
	Datum values[3];

	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; j < definition->calls[i].rule->count; j++)
		{
			const Call *call = &definition->calls[i];

			states = lappend(states, call->columns[j]);
			knowns = lappend(knowns, call->known ? call->known : pstrdup(""));
		}
	values[0] = ObjectIdGetDatum(addition->view);
	values[1] = define_names_array(states);
	values[2] = define_names_array(knowns);
	catalog_execute(&store_columns, values, NULL);
}

/* ---------------------------------------------------------------- add_column */

static void
require_new_name(const Addition *addition, const char *name)
{
	if (get_attnum(addition->view, name) != InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
						errmsg("column \"%s\" of aggregate \"%s\" already exists", name,
							   get_rel_name(addition->view))));
}

/* As the stream's owner, within SPI. */
static void
add(Addition *addition, const char *name, const char *expression, BackfillSource backfill)
{
	rules_lock(RowShareLock);
	addition->source = source_load(addition->view);
	if (addition->source->definition->window.kind == WINDOW_SESSION)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("columns cannot be added to sessions"),
						errhint("Use streamagg.replace_aggregate().")));
	addition->existing = define_take_policies(&addition->request, addition->view);
	require_new_name(addition, name);
	analyze(addition, name, expression);
	if (backfill == BACKFILL_NONE)
		mark_groups(addition);
	alter_state(addition);
	change_views(addition);
	CommandCounterIncrement();
	store(addition);
}

/*
 * streamagg.add_column(aggregate, name, expression, backfill).  Errors: those of create_aggregate() and
 * backfill(), 42701 for a name that the view has.
 */
Datum
streamagg_add_column(PG_FUNCTION_ARGS)
{
	Addition addition = {0};
	const char *name = define_text_argument(fcinfo, 1, "name");
	const char *expression = define_text_argument(fcinfo, 2, "expression");
	BackfillSource backfill = define_backfill_argument(fcinfo, 3);
	OwnerScope scope;
	Oid stream;

	streamagg_require_preload();
	PreventCommandDuringRecovery("add_column()");
	catalog_check_version();
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument aggregate must not be null")));
	addition.view = PG_GETARG_OID(0);
	stream = source_stream(addition.view);
	stream_require_owner(stream);
	/* batches wait at this door, before they hold anything that is needed here */
	LockRelationOid(stream, AccessExclusiveLock);
	run_enter_owner(stream, &scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	add(&addition, name, expression, backfill);
	SPI_finish();
	if (backfill != BACKFILL_NONE)
		(void) backfill_new(addition.view, backfill);
	run_leave_owner(&scope);
	event_log(stream, "add_column",
			  psprintf("%s.%s", stream_name(addition.view), quote_identifier(name)));
	CacheInvalidateRelcacheByRelid(stream);
	PG_RETURN_VOID();
}
