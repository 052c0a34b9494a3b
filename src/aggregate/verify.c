/*
 * verify.c - streamagg.verify(): an aggregate against its query over the archive.
 *
 * One statement in the caller's snapshot: archive, state and offsets were written by the same
 * transactions, so it is right while the stream runs.  All stored groups are compared, those too that
 * HAVING or emit 'final' hide from the view, by their keys and by the value of each aggregate call.
 * It writes nothing and waits for nobody.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "catalog.h"
#include "rewrite_parts.h"
#include "rules.h"
#include "run.h"
#include "session.h"
#include "session_judge.h"
#include "source.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_verify);
PG_FUNCTION_INFO_V1(streamagg_nearly_equal);

/* Sums of the same floats in another order. */
#define TOLERANCE "1e-9"
#define TOLERANCE_OF_REAL "1e-6" /* rounding to float4 may go either way */

/* ---------------------------------------------------------------- what the archive says */

/* Statistics of floats, which may be nothing but rounding, as of a value that is always 0.1. */
static bool
is_of_moments(const Call *call)
{
	const char *name = "streamagg.moments(";

	return strncmp(call->rule->partials[0], name, strlen(name)) == 0;
}

/* NULL for a statistic, of this state, that is nothing but rounding. */
static char *
unless_noise(const Call *call, const char *value, const char *moments)
{
	char *sql = psprintf("streamagg.unless_noise(%s, %s)", value, moments);

	/* the difference of two terms, one of them the average of y: where they are nearly the same, rounding */
	if (strcmp(get_func_name(call->aggref->aggfnoid), "regr_intercept") == 0)
		sql = psprintf("CASE WHEN abs(%s) >= 1e-4 * abs((%s)[4]) / nullif((%s)[1], 0) THEN %s END",
					   value, moments, moments, sql);
	return sql;
}

/* What is nothing but rounding does not count in the stored values, either. */
static void
leave_out_noise(const Definition *definition)
{
	for (int i = 0; i < definition->ncalls; i++)
		if (is_of_moments(&definition->calls[i]))
		{
			Rule *rule = definition->calls[i].rule;

			rule->final = unless_noise(&definition->calls[i], rule->final, "$1");
		}
}

/* The call as the query has it; only a sum of float4, which PostgreSQL adds up in float4, in float8. */
static char *
plain_call(const Call *call, int number)
{
	const Aggref *aggref = call->aggref;
	char **arguments = rewrite_arguments(call, number);
	int count = list_length(aggref->args);
	const char *distinct = aggref->aggdistinct ? "DISTINCT " : "";
	const char *filter = aggref->aggfilter ? psprintf(" FILTER (WHERE i._f%d)", number) : "";
	Oid function = aggref->aggfnoid;
	StringInfoData sql;

	if (function == F_SUM_FLOAT4)
		return psprintf("(pg_catalog.sum(%s%s::float8)%s)::real", distinct, arguments[0], filter);
	initStringInfo(&sql);
	appendStringInfo(&sql, "%s(%s%s",
					 quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
												get_func_name(function)),
					 aggref->aggstar ? "*" : "", distinct);
	for (int i = 0; i < count; i++)
		appendStringInfo(&sql, "%s%s%s", i ? ", " : "",
						 i == count - 1 && aggref->aggvariadic ? "VARIADIC " : "", arguments[i]);
	appendStringInfo(&sql, ")%s", filter);
	if (!is_of_moments(call))
		return sql.data;
	return unless_noise(call, sql.data,
						psprintf("streamagg.moments(%s%s%s)%s", arguments[0], count > 1 ? ", " : "",
								 count > 1 ? arguments[1] : "", filter));
}

/* In the shape of rewrite_state_select(). */
static char *
plain_select(const Definition *definition)
{
	StringInfoData sql;
	ListCell *cell;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	for (int i = 1; i <= definition->nkeys; i++)
		appendStringInfo(&sql, "i._k%d, ", i);
	for (int i = 1; i <= definition->ncalls; i++)
		appendStringInfo(&sql, "%s AS _a%d, ", plain_call(&definition->calls[i - 1], i), i);
	appendStringInfoString(&sql, "false AS is_final, NULL::timestamptz AS updated_at");
	foreach (cell, definition_known_columns(definition))
		appendStringInfo(&sql, ", true AS %s", (char *) lfirst(cell));
	if (definition->window_index)
		appendStringInfo(&sql, ", %s AS _end", rewrite_pair_end(definition, 0));
	appendStringInfo(&sql, " FROM %s", rewrite_whole_rows(definition));
	for (int i = 1; i <= definition->nkeys; i++)
		appendStringInfo(&sql, "%s %d", i > 1 ? "," : " GROUP BY", i);
	return sql.data;
}

/* ---------------------------------------------------------------- the comparison */

/* Records compare as GROUP BY does: NULL equals NULL, by the types' own operators. */
static char *
side_sql(const Definition *definition, const char *select, const WindowRange *range)
{
	const char *bounds =
		definition->window.kind == WINDOW_NONE ? "" : source_range_sql(range, "v._k1");
	StringInfoData keys;

	initStringInfo(&keys);
	for (int i = 1; i <= definition->nkeys; i++)
		appendStringInfo(&keys, "%sv._k%d", i > 1 ? ", " : "", i);
	return psprintf("(SELECT true AS _here, ROW(%s) AS _key, v.* FROM (%s) v WHERE true%s)",
					definition->nkeys ? keys.data : "0", rewrite_values(definition, select),
					bounds);
}

static bool
has_equality(Oid type)
{
	return OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr);
}

static char *
equal_sql(const Call *call, int number)
{
	Oid type = call->aggref->aggtype;
	const char *name = get_func_name(call->aggref->aggfnoid);
	bool exact = strcmp(name, "min") == 0 || strcmp(name, "max") == 0;

	if (!exact && (type == FLOAT4OID || type == FLOAT8OID))
		return psprintf("streamagg.nearly_equal(e._a%d, f._a%d, %s)", number, number,
						type == FLOAT4OID ? TOLERANCE_OF_REAL : TOLERANCE);
	if (has_equality(type))
		return psprintf("e._a%d IS NOT DISTINCT FROM f._a%d", number, number);
	return psprintf("e._a%d::text IS NOT DISTINCT FROM f._a%d::text", number, number);
}

/* Groups that do not know a value are not asked for it. */
static char *
same_sql(const Call *call, int number)
{
	if (call->known == NULL)
		return equal_sql(call, number);
	return psprintf("(f.%s IS NULL OR %s)", call->known, equal_sql(call, number));
}

/* What the query shows of a side as one JSON object. */
static char *
shown_sql(const Definition *definition, const char *side)
{
	StringInfoData sql;
	ListCell *cell;
	int number = 0;

	initStringInfo(&sql);
	foreach (cell, definition->query->targetList)
	{
		const TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (target->resjunk)
			continue;
		number++;
		appendStringInfo(&sql, "%s%s._o%d AS %s", number > 1 ? ", " : "", side, number,
						 quote_identifier(target->resname));
	}
	return psprintf(
		"CASE WHEN %s._here THEN (SELECT pg_catalog.to_jsonb(j) FROM (SELECT %s) j) END", side,
		sql.data);
}

static char *
comparison_sql(const Source *source, const WindowRange *range)
{
	const Definition *definition = source->definition;
	char *expected = plain_select(source_definition(source, range, true));
	char *found;
	StringInfoData same;

	leave_out_noise(definition);
	found = rewrite_state_select(definition, stream_name(source->state), 0);
	initStringInfo(&same);
	for (int i = 0; i < definition->ncalls; i++)
		appendStringInfo(&same, " AND %s", same_sql(&definition->calls[i], i + 1));
	return psprintf(
		"SELECT CASE WHEN e._here IS NULL THEN 'extra' WHEN f._here IS NULL THEN 'missing'"
		" ELSE 'differs' END, %s, %s FROM %s e FULL JOIN %s f ON e._key = f._key"
		" WHERE e._here IS NULL OR f._here IS NULL OR NOT (true%s)",
		shown_sql(definition, "e"), shown_sql(definition, "f"),
		side_sql(definition, expected, range), side_sql(definition, found, range), same.data);
}

/* ---------------------------------------------------------------- verify */

/* Windows that may have had rows which the archive does not hold cannot be judged. */
static void
leave_out_missing(const Source *source, WindowRange *range)
{
	const Window *window = &source->definition->window;
	TimestampTz missing = source_missing_until(source, true);

	/* a session that such a row belongs to may seem to begin behind it */
	if (window->kind == WINDOW_SESSION)
		missing = session_later(missing, window->size);
	if (TIMESTAMP_IS_NOBEGIN(missing) || missing < range->from)
		return;
	/* which rows were late may depend on those that are missing */
	if (TIMESTAMP_IS_NOEND(missing) || window->kind == WINDOW_NONE || source_is_ordered(source))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the archive of stream \"%s\" does not hold all rows that were accepted",
						get_rel_name(source->stream)),
				 errhint("Aggregate \"%s\" cannot be compared with it.", source->name)));
	ereport(NOTICE,
			(errmsg("windows that start up to %s are left out", timestamptz_to_str(missing)),
			 errdetail("The archive of stream \"%s\" may not hold all of their rows.",
					   get_rel_name(source->stream))));
	range->from = missing + 1;
}

typedef struct Comparison
{
	SourceRows rows;
	ReturnSetInfo *result;
} Comparison;

/* Constants are read under neutral settings; expressions run under those of the definition. */
static void
run_comparison(void *argument)
{
	const Comparison *comparison = argument;
	const Source *source = comparison->rows.source;
	ReturnSetInfo *result = comparison->result;
	SPIExecuteOptions options = {.read_only = true, .dest = CreateDestReceiver(DestTuplestore)};
	SPIPlanPtr plan;

	SetTuplestoreDestReceiverParams(options.dest, result->setResult,
									result->econtext->ecxt_per_query_memory, false, NULL, NULL);
	plan = SPI_prepare(comparison_sql(source, comparison->rows.range), 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare the comparison");
	run_apply_settings(source->timezone, source->datestyle, source->intervalstyle);
	if (SPI_execute_plan_extended(plan, &options) != SPI_OK_SELECT)
		elog(ERROR, "could not compare");
}

static void
compare(const Source *source, const WindowRange *range, ReturnSetInfo *result)
{
	Comparison comparison = {{source, range, true}, result};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (source_is_ordered(source))
		session_replay(&comparison.rows, run_comparison, &comparison);
	else
		run_comparison(&comparison);
	SPI_finish();
}

/*
 * streamagg.verify(aggregate, from_ts, to_ts).  Errors: 42809 for no aggregate, 42501 for others than
 * members of the stream's owner, 55000 without an archive, or when it is not known what it lacks.
 */
Datum
streamagg_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WindowRange range = {PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1),
						 PG_ARGISNULL(2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2)};
	OwnerScope scope;
	Source *source;
	Oid stream;

	streamagg_require_preload();
	catalog_check_version();
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument aggregate must not be null")));
	stream = source_stream(PG_GETARG_OID(0));
	stream_require_owner(stream);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	run_enter_owner(stream, &scope);
	source = source_load(PG_GETARG_OID(0));
	source_require_archive(source);
	(void) source_leave_out_expired(source, &range);
	leave_out_missing(source, &range);
	compare(source, &range, result);
	run_leave_owner(&scope);
	return (Datum) 0;
}

/* streamagg.nearly_equal(a, b, tolerance): relative; NaN equals NaN, infinities only themselves. */
Datum
streamagg_nearly_equal(PG_FUNCTION_ARGS)
{
	float8 a;
	float8 b;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(PG_ARGISNULL(0) && PG_ARGISNULL(1));
	a = PG_GETARG_FLOAT8(0);
	b = PG_GETARG_FLOAT8(1);
	if (a == b || (isnan(a) && isnan(b)))
		PG_RETURN_BOOL(true);
	if (!isfinite(a) || !isfinite(b))
		PG_RETURN_BOOL(false);
	/* halves: their difference cannot overflow */
	PG_RETURN_BOOL(fabs(a / 2 - b / 2) <= PG_GETARG_FLOAT8(2) * Max(fabs(a), fabs(b)) / 2);
}
