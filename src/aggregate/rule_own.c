/*
 * rule_own.c - streamagg.create_merge_rule() and drop_merge_rule(): rules of one's own.
 *
 * Who may call them says the grant to streamagg_admin.  A rule belongs to its aggregate function, which
 * neither PostgreSQL nor an extension has one for.  It runs as the owners of streams that call the
 * function, as the function does, so it is for the function's owner to make.  Rules are read whenever aggregates are loaded, so one
 * that is used stays; a lock on the table keeps create_aggregate() and drop_merge_rule() apart.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "compat.h"
#include "rule_template.h"
#include "rules.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_create_merge_rule);
PG_FUNCTION_INFO_V1(streamagg_drop_merge_rule);

/* What is left of a function that was dropped must not become another one's rule. */
static CatalogStatement forget_dropped = {
	"DELETE FROM streamagg.merge_rules"
	" WHERE CASE WHEN custom THEN pg_catalog.to_regprocedure(aggregate) IS NULL END",
	0,
	{InvalidOid},
	NULL};

/* Names are quoted by the taste of a session (quote_all_identifiers). */
static CatalogStatement forget_dropping = {
	"DELETE FROM streamagg.merge_rules WHERE custom AND pg_catalog.replace(aggregate, '\"', '')"
	" IN (SELECT pg_catalog.replace(object_identity, '\"', '')"
	" FROM pg_catalog.pg_event_trigger_dropped_objects() WHERE object_type = 'aggregate')",
	0,
	{InvalidOid},
	NULL};

static CatalogStatement insert_rule = {
	"INSERT INTO streamagg.merge_rules (aggregate, partials, merges, final, parts, custom)"
	" SELECT $1, $2, $3, $4, $5, true",
	5,
	{TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID, TEXTARRAYOID},
	NULL};

static CatalogStatement delete_rule = {
	"DELETE FROM streamagg.merge_rules"
	" WHERE CASE WHEN custom THEN pg_catalog.to_regprocedure(aggregate) END"
	" = $1::pg_catalog.regprocedure",
	1,
	{OIDOID},
	NULL};

/* The definition view calls the function. */
static CatalogStatement find_user = {
	"SELECT c.aggregate::oid FROM streamagg.aggregate_catalog c"
	" JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.definition JOIN pg_catalog.pg_depend d"
	" ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid"
	" WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid = $1"
	" ORDER BY 1 LIMIT 1",
	1,
	{OIDOID},
	NULL};

void
rules_lock(LOCKMODE mode)
{
	LockRelationOid(get_relname_relid("merge_rules", get_namespace_oid("streamagg", false)), mode);
}

void
rules_forget_dropped(void)
{
	catalog_execute(&forget_dropping, NULL, NULL);
}

/* ---------------------------------------------------------------- arguments */

static List *
texts_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(number);
	Datum *elements;
	int count;
	List *texts = NIL;

	if (ARR_NDIM(array) != 1 || array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument %s must be a list of expressions", name)));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		texts = lappend(texts, TextDatumGetCString(elements[i]));
	return texts;
}

static void
require_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {"aggregate", "partials", "merges", "final"};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument %s must not be null", names[i])));
}

/* ---------------------------------------------------------------- the aggregate function */

typedef struct Signature
{
	Oid result;
	int count;
	Oid *types;
} Signature;

static void
refuse_polymorphic(Oid aggregate, Oid type)
{
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a merge rule for %s is not supported", format_procedure(aggregate)),
						errdetail("It takes or gives the pseudo-type %s.", format_type_be(type)),
						errhint("Make an aggregate function over the types that you need.")));
}

static Signature
signature_of(Oid aggregate)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Signature signature;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s is not an aggregate function", format_procedure(aggregate))));
	if (((Form_pg_aggregate) GETSTRUCT(tuple))->aggkind != AGGKIND_NORMAL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a merge rule for the ordered-set aggregate %s is not supported",
							   format_procedure(aggregate))));
	ReleaseSysCache(tuple);
	signature.result = get_func_signature(aggregate, &signature.types, &signature.count);
	refuse_polymorphic(aggregate, signature.result);
	for (int i = 0; i < signature.count; i++)
		refuse_polymorphic(aggregate, signature.types[i]);
	return signature;
}

static void
require_owner(Oid aggregate)
{
	if (!compat_owns_function(aggregate, GetUserId()))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of function %s", format_procedure(aggregate)),
						errdetail("Its rule runs as the owners of the streams that call it.")));
}

/* One that its combine function merges has a rule, too. */
static void
refuse_second_rule(Oid aggregate)
{
	Aggref aggref = {.xpr.type = T_Aggref, .aggfnoid = aggregate};
	const char *why;

	if (rules_read(aggregate) || rules_combine(&aggref, &why))
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("aggregate function %s has a merge rule already",
							   format_procedure(aggregate))));
}

/* ---------------------------------------------------------------- the rule */

static void
require_type(const Template *template, Oid type)
{
	if (template->type != type)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("%s of the merge rule is of type %s instead of %s", template->what,
							   format_type_be(template->type), format_type_be(type)),
						errhint("Add a cast.")));
}

typedef struct Texts
{
	Datum *partials;
	Datum *merges;
	Datum *parts;
	Oid *types;
	int count;
} Texts;

static void
read_part(Texts *texts, const Signature *signature, const char *partial, const char *merge)
{
	int number = texts->count;
	Template first = {psprintf("partial %d", number + 1), partial};
	Template second = {psprintf("merge %d", number + 1), merge};
	Oid sides[2];

	template_read_partial(&first, signature->types, signature->count);
	sides[0] = sides[1] = texts->types[number] = first.type;
	template_read_expression(&second, sides, lengthof(sides));
	require_type(&second, first.type);
	texts->partials[number] = CStringGetTextDatum(first.canonical);
	texts->merges[number] = CStringGetTextDatum(second.canonical);
	texts->parts[number] = CStringGetTextDatum(first.name);
	texts->count++;
}

static void
store_rule(Oid aggregate, const Texts *texts, const char *final)
{
	Datum values[5] = {CStringGetTextDatum(format_procedure_qualified(aggregate)),
					   catalog_array(texts->partials, NULL, texts->count, TEXTOID),
					   catalog_array(texts->merges, NULL, texts->count, TEXTOID),
					   CStringGetTextDatum(final),
					   catalog_array(texts->parts, NULL, texts->count, TEXTOID)};

	catalog_execute(&insert_rule, values, NULL);
}

/*
 * streamagg.create_merge_rule(aggregate, partials, merges, final).  Errors: 42809 for no aggregate, 42501 for
 * others than its owner, 42710 when it has a rule, 22023 for lists that do not fit, 42P17 and 42804 for templates that do not.
 */
Datum
streamagg_create_merge_rule(PG_FUNCTION_ARGS)
{
	Oid aggregate = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Template final = {"the final expression"};
	Signature signature;
	List *partials;
	List *merges;
	Texts texts = {0};

	streamagg_require_preload();
	PreventCommandDuringRecovery("create_merge_rule()");
	catalog_check_version();
	require_arguments(fcinfo);
	partials = texts_argument(fcinfo, 1, "partials");
	merges = texts_argument(fcinfo, 2, "merges");
	final.text = text_to_cstring(PG_GETARG_TEXT_PP(3));
	if (list_length(partials) != list_length(merges))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there must be as many merges as partials")));
	signature = signature_of(aggregate);
	require_owner(aggregate);
	rules_lock(ShareRowExclusiveLock);
	catalog_execute(&forget_dropped, NULL, NULL);
	refuse_second_rule(aggregate);
	texts.partials = palloc(sizeof(Datum) * list_length(partials));
	texts.merges = palloc(sizeof(Datum) * list_length(partials));
	texts.parts = palloc(sizeof(Datum) * list_length(partials));
	texts.types = palloc(sizeof(Oid) * list_length(partials));
	while (texts.count < list_length(partials))
		read_part(&texts, &signature, list_nth(partials, texts.count),
				  list_nth(merges, texts.count));
	template_read_expression(&final, texts.types, texts.count);
	require_type(&final, signature.result);
	store_rule(aggregate, &texts, final.canonical);
	PG_RETURN_VOID();
}

/*
 * streamagg.drop_merge_rule(aggregate).  Errors: 42704 without a rule, 2BP01 for one of the extension, and
 * for one that an aggregate uses.
 */
Datum
streamagg_drop_merge_rule(PG_FUNCTION_ARGS)
{
	Oid aggregate = PG_GETARG_OID(0);
	Datum argument = ObjectIdGetDatum(aggregate);
	Oid user;

	PreventCommandDuringRecovery("drop_merge_rule()");
	catalog_check_version();
	rules_lock(ExclusiveLock);
	if (catalog_execute(&delete_rule, &argument, NULL) == 0)
	{
		if (rules_read(aggregate))
			ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
							errmsg("the merge rule of %s belongs to the extension",
								   format_procedure(aggregate))));
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("aggregate function %s has no merge rule", format_procedure(aggregate)),
				 errhint("Rows of streamagg.merge_rules that are custom can be dropped.")));
	}
	user = catalog_find_oid(&find_user, &argument);
	if (OidIsValid(user))
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("the merge rule of %s is in use", format_procedure(aggregate)),
						errdetail("Aggregate \"%s\" is merged by it.", stream_name(user)),
						errhint("Drop the aggregate first.")));
	PG_RETURN_VOID();
}
