/*
 * rounding.c - finds values that a type modifier would round, by the type's own equality.
 *
 * Modifiers of other types cut or pad strings or refuse values, as everywhere in SQL.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "rounding.h"
#include "streamagg.h"

/* timestamp(6) and the like: as many digits as the type has. */
static bool
is_whole(Oid type, int32 typmod)
{
	return typmod == MAX_TIMESTAMP_PRECISION &&
		   (type == TIMEOID || type == TIMETZOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID);
}

int
rounding_code(Oid type, int32 typmod)
{
	char category;
	bool preferred;

	if (typmod < 0 || is_whole(type, typmod))
		return 0;
	get_type_category_preferred(type, &category, &preferred);
	if (category == TYPCATEGORY_NUMERIC)
		return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	if (category == TYPCATEGORY_DATETIME || category == TYPCATEGORY_TIMESPAN)
		return ERRCODE_DATETIME_FIELD_OVERFLOW;
	return 0;
}

void
rounding_init(Rounding *rounding, Oid type, int32 typmod, MemoryContext context)
{
	Oid element = get_element_type(type);
	TypeCacheEntry *entry;

	rounding->code = rounding_code(OidIsValid(element) ? element : type, typmod);
	if (rounding->code == 0)
		return;
	entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	if (!OidIsValid(entry->eq_opr))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("columns of type %s are not supported in streams",
							   format_type_with_typemod(type, typmod)),
						errdetail("Whether a value would be rounded cannot be seen: the type has "
								  "no equality.")));
	fmgr_info_cxt(get_opcode(entry->eq_opr), &rounding->equal, context);
}

int
rounding_judge(Rounding *rounding, Datum rounded, Datum exact)
{
	return DatumGetBool(FunctionCall2(&rounding->equal, rounded, exact)) ? 0 : rounding->code;
}
