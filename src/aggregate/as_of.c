/*
 * as_of.c - streamagg.as_of(): the offsets that the rows of an aggregate stand at.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "compat.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_as_of);

static CatalogStatement read_offsets = {
	"SELECT (SELECT coalesce(pg_catalog.jsonb_object_agg(p.partition, p.next_offset), '{}')"
	" FROM streamagg.partition_progress p WHERE p.stream = a.stream AND a.stream IS NOT NULL),"
	" a.stream IS NULL FROM streamagg.aggregate_catalog a WHERE a.aggregate = $1",
	1,
	{REGCLASSOID},
	NULL};

static void
require_select(Oid view)
{
	if (pg_class_aclcheck(view, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(view, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_VIEW, get_rel_name(view));
}

/*
 * streamagg.as_of(aggregate): {"partition": next offset, …} in the snapshot of the query that calls it, so
 * that it fits the rows beside it.  NULL when the stream is gone.  Errors: 42809 for what is no aggregate,
 * 42501 for who may not read it.
 */
Datum
streamagg_as_of(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);
	MemoryContext context = CurrentMemoryContext;
	Datum value = ObjectIdGetDatum(view);
	CatalogScope scope;
	Datum found = (Datum) 0;
	bool gone;
	bool isnull;

	if (get_rel_name(view))
		require_select(view);
	catalog_enter(&scope);
	if (catalog_read(&read_offsets, &value) == 0)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a continuous aggregate", stream_name(view)),
						errhint("The view streamagg.aggregates lists them.")));
	gone = DatumGetBool(catalog_value(0, 2, &isnull));
	if (!gone)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		found = PointerGetDatum(PG_DETOAST_DATUM_COPY(catalog_value(0, 1, &isnull)));
		MemoryContextSwitchTo(old);
	}
	catalog_leave(&scope);
	if (gone)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(found);
}
