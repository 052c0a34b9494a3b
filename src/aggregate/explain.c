/*
 * explain.c - streamagg.explain(): what a batch does for an aggregate.
 *
 * The columns of its state, the statements that run.c runs, and the plan that PostgreSQL makes of each
 * under the settings that they run under.  Nothing is executed, and no broker is asked: the stream is
 * planned as the rows of a batch.
 */
#include "postgres.h"

#include "access/relation.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "catalog.h"
#include "rewrite_parts.h"
#include "rules.h"
#include "run.h"
#include "source.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_explain);

/* No column is called so. */
#define EXPRESSION_NAME "_an expression of the query"

/* ---------------------------------------------------------------- the result */

static void
put_line(ReturnSetInfo *result, const char *part, const char *line)
{
	Datum values[2] = {CStringGetTextDatum(part), CStringGetTextDatum(line)};
	bool nulls[2] = {false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_lines(ReturnSetInfo *result, const char *part, const char *text)
{
	char *rest = pstrdup(text);
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			put_line(result, part, line);
}

/* ---------------------------------------------------------------- the state */

/* As PostgreSQL prints it in the query: whole queries are all that it prints. */
static char *
expression_text(const Definition *definition, Node *expression)
{
	Query *query = copyObject(definition->query);
	char *text;
	char *end;

	query->targetList = NIL;
	query->groupClause = NIL;
	query->havingQual = NULL;
	rewrite_add_target(&query->targetList, expression, EXPRESSION_NAME);
	text = pg_get_querydef(query, false);
	text += strspn(text, " ");
	end = strstr(text, " AS \"" EXPRESSION_NAME "\"");
	if (strncmp(text, "SELECT ", 7) != 0 || end == NULL)
		elog(ERROR, "unexpected text of a query");
	return pnstrdup(text + 7, end - text - 7);
}

/* What a batch computes, and how it goes into the column. */
static char *
describe_partial(const Definition *definition, const Call *call, int number)
{
	const char *column = quote_identifier(call->columns[number]);
	const char *sides[2] = {psprintf("s.%s", column), psprintf("excluded.%s", column)};
	char *whole = expression_text(definition, (Node *) call->aggref);
	const char *merge = rules_apply(call->rule->merges[number], sides, lengthof(sides));

	if (call->rule->count == 1)
		return psprintf("%s, merged by %s", whole, merge);
	return psprintf("%s (%d of %d), merged by %s", whole, number + 1, call->rule->count, merge);
}

static char *
describe_column(const Definition *definition, const char *name)
{
	ListCell *cell;

	for (int i = 0; i < definition->nkeys; i++)
		if (strcmp(definition->keys[i].column, name) == 0)
			return psprintf("key, %s", expression_text(definition, definition->keys[i].expression));
	for (int i = 0; i < definition->ncalls; i++)
		for (int j = 0; j < definition->calls[i].rule->count; j++)
			if (strcmp(definition->calls[i].columns[j], name) == 0)
				return describe_partial(definition, &definition->calls[i], j);
	foreach (cell, definition_known_columns(definition))
		if (strcmp(lfirst(cell), name) == 0)
			return "whether the group has all rows in the columns added with it";
	if (strcmp(name, "updated_at") == 0)
		return "start of the transaction that changed the group last";
	if (definition->nkeys == 0 && strcmp(name, REWRITE_SINGLE_KEY) == 0)
		return "key of the only group";
	return "not written by the aggregate";
}

static void
put_state(const Aggregate *aggregate, ReturnSetInfo *result)
{
	Relation rel = relation_open(aggregate->state, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		const FormData_pg_attribute *attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		put_lines(result, "state",
				  psprintf("%s %s: %s", quote_identifier(NameStr(attribute->attname)),
						   format_type_with_typemod(attribute->atttypid, attribute->atttypmod),
						   describe_column(aggregate->definition, NameStr(attribute->attname))));
	}
	relation_close(rel, NoLock);
}

/* ---------------------------------------------------------------- the plans */

/* Constants are read under neutral settings, as in own_plan() of run.c. */
static void
put_plan(const Aggregate *aggregate, const RunStatement *statement, ReturnSetInfo *result)
{
	const char *part = psprintf("%s plan", statement->name);
	int level = NewGUCNestLevel();
	SPIPlanPtr plan;

	run_apply_neutral_settings();
	plan = SPI_prepare(psprintf("EXPLAIN (COSTS OFF) %s", statement->sql), 0, NULL);
	run_apply_settings(aggregate->timezone, aggregate->datestyle, aggregate->intervalstyle);
	if (plan == NULL || SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not explain the statement of aggregate \"%s\"", aggregate->name);
	AtEOXact_GUC(true, level);
	for (uint64 i = 0; i < SPI_processed; i++)
		put_line(result, part, catalog_string(i, 1));
}

static void
put_statements(const Aggregate *aggregate, ReturnSetInfo *result)
{
	ListCell *cell;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	foreach (cell, run_statements(aggregate))
	{
		const RunStatement *statement = lfirst(cell);

		put_lines(result, statement->name, statement->sql);
		put_plan(aggregate, statement, result);
	}
	SPI_finish();
}

/*
 * streamagg.explain(aggregate).  Errors: 42809 for no aggregate, 42501 for others than members of the
 * stream's owner, 55000 when the stream was dropped; those of a batch whose statement cannot be planned.
 */
Datum
streamagg_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid stream;
	OwnerScope scope;
	Aggregate *aggregate;
	ScanOffer none;
	ScanOffer before;

	streamagg_require_preload();
	catalog_check_version();
	stream = source_stream(PG_GETARG_OID(0));
	stream_require_owner(stream);
	InitMaterializedSRF(fcinfo, 0);
	run_enter_owner(stream, &scope);
	aggregate = run_load_one(stream, PG_GETARG_OID(0));
	put_line(result, "settings",
			 psprintf("TimeZone %s, DateStyle %s, IntervalStyle %s", aggregate->timezone,
					  aggregate->datestyle, aggregate->intervalstyle));
	put_state(aggregate, result);
	none = run_no_rows(stream);
	before = scan_offer(&none);
	PG_TRY();
	{
		put_statements(aggregate, result);
	}
	PG_FINALLY();
	{
		scan_withdraw(&before);
	}
	PG_END_TRY();
	run_leave_owner(&scope);
	return (Datum) 0;
}
