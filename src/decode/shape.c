/*
 * shape.c - looks into a type, once when a stream is loaded: what must be refused, and where times
 * are.
 *
 * The same records must give the same rows whenever they are read, and nothing is rounded or cut
 * unseen.  What a value of the type can hide is refused here, with the type; the rest is judged
 * value by value (clock.c, rounding.c).
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "rounding.h"
#include "shape.h"

static Shape *describe(Oid type, int32 typmod, bool hidden);

/* Types that are read by what the catalog holds at that moment. */
static bool
reads_catalog(Oid type)
{
	static const Oid types[] = {REGPROCOID,		 REGPROCEDUREOID, REGOPEROID,		REGOPERATOROID,
								REGCLASSOID,	 REGCOLLATIONOID, REGTYPEOID,		REGROLEOID,
								REGNAMESPACEOID, REGCONFIGOID,	  REGDICTIONARYOID, ACLITEMOID};

	for (size_t i = 0; i < lengthof(types); i++)
		if (types[i] == type)
			return true;
	return false;
}

static void
refuse(Oid type, int32 typmod, const char *why, const char *instead)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("columns of type %s are not supported in streams",
						   format_type_with_typemod(type, typmod)),
					errdetail_internal("%s", why), errhint("Declare %s.", instead)));
}

/* Hidden: inside another type, so that nobody can compare the value before and behind its input. */
static void
refuse_unfit(Oid type, int32 typmod, bool hidden)
{
	if (reads_catalog(type))
		refuse(type, -1, "What such a value means depends on the catalog when it is read.",
			   "it as text");
	if (type == NAMEOID || type == CHAROID)
		refuse(type, -1, "The type cuts what is too long for it.", "it as text");
	if (hidden && (rounding_code(type, typmod) || type == MONEYOID))
		refuse(type, typmod,
			   "Inside an array's element type, a range or a composite type it would round values.",
			   type == MONEYOID ? "it as numeric" : "it there without a precision");
}

static Shape *
describe_array(Oid element, int32 typmod, bool hidden)
{
	Shape *shape = palloc0(sizeof(Shape));

	shape->kind = SHAPE_ARRAY;
	shape->nparts = 1;
	shape->parts = palloc(sizeof(Shape *));
	/* the array's typmod is its elements', but not that of a domain */
	shape->parts[0] = describe(element, typmod, hidden || typmod < 0);
	shape->reads_clock = shape->parts[0]->reads_clock;
	shape->zoned = shape->parts[0]->zoned;
	return shape;
}

static Shape *
describe_composite(Oid type)
{
	Shape *shape = palloc0(sizeof(Shape));
	TupleDesc desc;

	shape->kind = SHAPE_COMPOSITE;
	shape->type = type;
	shape->relation = get_typ_typrelid(type);
	LockRelationOid(shape->relation, AccessShareLock);
	shape->version = lookup_type_cache(type, TYPECACHE_TUPDESC)->tupDesc_identifier;
	desc = lookup_rowtype_tupdesc_copy(type, -1);
	shape->names = palloc(sizeof(char *) * Max(desc->natts, 1));
	shape->parts = palloc(sizeof(Shape *) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Shape *part;

		if (attribute->attisdropped)
			continue;
		part = describe(attribute->atttypid, attribute->atttypmod, true);
		shape->names[shape->nparts] = NameStr(attribute->attname);
		shape->parts[shape->nparts++] = part;
		shape->reads_clock |= part->reads_clock;
		shape->zoned |= part->zoned;
	}
	return shape;
}

static Shape *
describe_scalar(Oid type)
{
	Shape *shape = palloc0(sizeof(Shape));

	shape->kind = SHAPE_SCALAR;
	shape->zoned = type == TIMETZOID;
	shape->reads_clock = type == DATEOID || type == TIMEOID || type == TIMETZOID ||
						 type == TIMESTAMPOID || type == TIMESTAMPTZOID;
	return shape;
}

static Shape *
describe(Oid type, int32 typmod, bool hidden)
{
	Oid base = getBaseTypeAndTypmod(type, &typmod);
	Oid element = get_element_type(base);

	check_stack_depth();
	refuse_unfit(base, typmod, hidden);
	if (OidIsValid(element))
		return describe_array(element, typmod, hidden);
	if (type_is_rowtype(base))
		return describe_composite(base);
	if (type_is_multirange(base))
		base = get_multirange_range(base);
	if (type_is_range(base))
		return describe(get_range_subtype(base), -1, true);
	return describe_scalar(base);
}

Shape *
shape_create(Oid type, int32 typmod)
{
	return describe(type, typmod, false);
}

bool
shape_is_current(const Shape *shape)
{
	if (shape->kind == SHAPE_COMPOSITE)
	{
		LockRelationOid(shape->relation, AccessShareLock);
		if (lookup_type_cache(shape->type, TYPECACHE_TUPDESC)->tupDesc_identifier != shape->version)
			return false;
	}
	for (int i = 0; i < shape->nparts; i++)
		if (!shape_is_current(shape->parts[i]))
			return false;
	return true;
}
