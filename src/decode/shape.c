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
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "rounding.h"
#include "shape.h"
#include "streamagg.h"

typedef struct Look
{
	Oid column;	 /* the type that is looked into */
	bool hidden; /* inside another type but an array's own elements */
} Look;

static Shape *describe(Look look, Oid type, int32 typmod);

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
refuse(Oid column, const char *why, const char *instead)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("columns of type %s are not supported in streams", format_type_be(column)),
			 errdetail_internal("%s", why), errhint("%s", instead)));
}

/* Of a hidden value nobody can compare what stands before and behind the input. */
static void
refuse_unfit(const Look *look, Oid type, int32 typmod)
{
	char *name = format_type_with_typemod(type, typmod);

	if (reads_catalog(type))
		refuse(
			look->column,
			psprintf("What a value of type %s means depends on the catalog when it is read.", name),
			"Declare it as text.");
	if (type == NAMEOID || type == CHAROID)
		refuse(look->column, psprintf("Type %s cuts what is too long for it.", name),
			   "Declare it as text.");
	if (look->hidden && (rounding_code(type, typmod) || type == MONEYOID))
		refuse(look->column, psprintf("Type %s inside it would round values unseen.", name),
			   type == MONEYOID ? "Declare it as numeric." : "Leave out its precision.");
	pfree(name);
}

static Shape *
describe_array(Look look, Oid element, int32 typmod)
{
	Shape *shape = palloc0(sizeof(Shape));

	shape->kind = SHAPE_ARRAY;
	shape->nparts = 1;
	shape->parts = palloc(sizeof(Shape *));
	/* the array's typmod is its elements', but none that a domain brings along */
	look.hidden |= typmod < 0;
	shape->parts[0] = describe(look, element, typmod);
	shape->reads_clock = shape->parts[0]->reads_clock;
	shape->zoned = shape->parts[0]->zoned;
	return shape;
}

static Shape *
describe_composite(Look look, Oid type)
{
	Shape *shape = palloc0(sizeof(Shape));
	TupleDesc desc;

	look.hidden = true;
	shape->kind = SHAPE_COMPOSITE;
	shape->type = type;
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
		part = describe(look, attribute->atttypid, attribute->atttypmod);
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
describe(Look look, Oid type, int32 typmod)
{
	Oid base = getBaseTypeAndTypmod(type, &typmod);
	Oid element = get_element_type(base);

	check_stack_depth();
	refuse_unfit(&look, base, typmod);
	if (OidIsValid(element))
		return describe_array(look, element, typmod);
	if (type_is_rowtype(base))
		return describe_composite(look, base);
	if (type_is_multirange(base))
		base = get_multirange_range(base);
	if (!type_is_range(base))
		return describe_scalar(base);
	look.hidden = true;
	return describe(look, get_range_subtype(base), -1);
}

Shape *
shape_create(Oid type, int32 typmod)
{
	Look look = {type, false};

	return describe(look, type, typmod);
}

bool
shape_is_current(const Shape *shape)
{
	if (shape->kind == SHAPE_COMPOSITE &&
		lookup_type_cache(shape->type, TYPECACHE_TUPDESC)->tupDesc_identifier != shape->version)
		return false;
	for (int i = 0; i < shape->nparts; i++)
		if (!shape_is_current(shape->parts[i]))
			return false;
	return true;
}
