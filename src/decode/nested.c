/*
 * nested.c - JSON values to arrays and composite types.
 *
 * The value becomes the only key of an object, the column the only attribute of a row, and
 * jsonb_populate_record makes one of the other: so its verdicts are PostgreSQL's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "nested.h"
#include "shape.h"
#include "streamagg.h"

#define KEY "v"

/* A call of the function for rows of one attribute. */
typedef struct Populate
{
	FmgrInfo function;
	TupleDesc desc;
	Datum row; /* all NULL: it says what the row looks like */
} Populate;

struct Nested
{
	MemoryContext context;
	Oid type;
	int32 typmod;
	Shape *shape;
	Populate given;
	Populate exact; /* without the typmod */
};

/* The function learns from its expression that it is called with a record. */
static void
prepare(Populate *populate, Oid type, int32 typmod)
{
	List *arguments = list_make2(makeNullConst(RECORDOID, -1, InvalidOid),
								 makeNullConst(JSONBOID, -1, InvalidOid));
	Datum value = (Datum) 0;
	bool isnull = true;

	populate->desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(populate->desc, 1, KEY, type, typmod, 0);
	BlessTupleDesc(populate->desc);
	populate->row = HeapTupleGetDatum(heap_form_tuple(populate->desc, &value, &isnull));
	fmgr_info(F_JSONB_POPULATE_RECORD, &populate->function);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSONB_POPULATE_RECORD, RECORDOID, arguments,
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &populate->function);
}

static void
fill(Nested *nested)
{
	MemoryContext old = MemoryContextSwitchTo(nested->context);

	nested->shape = shape_create(nested->type, nested->typmod);
	prepare(&nested->given, nested->type, nested->typmod);
	prepare(&nested->exact, nested->type, -1);
	MemoryContextSwitchTo(old);
}

Nested *
nested_create(Oid type, int32 typmod)
{
	Nested *nested = palloc0(sizeof(Nested));

	nested->context =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg nested type", ALLOCSET_SMALL_SIZES);
	nested->type = type;
	nested->typmod = typmod;
	fill(nested);
	return nested;
}

void
nested_follow(Nested *nested)
{
	if (nested->shape == NULL || !shape_is_current(nested->shape))
		nested_renew(nested);
}

void
nested_renew(Nested *nested)
{
	nested->shape = NULL;
	MemoryContextReset(nested->context);
	fill(nested);
}

Jsonb *
nested_document(const Nested *nested, const JsonValue *value)
{
	StringInfoData text;
	Jsonb *document;
	JsonbValue *found;

	initStringInfo(&text);
	appendStringInfoString(&text, "{\"" KEY "\":");
	if (value->kind == JSON_STRING)
		escape_json(&text, pnstrdup(value->text, value->length));
	else
		appendBinaryStringInfo(&text, value->text, value->length);
	appendStringInfoChar(&text, '}');
	document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
	if (!nested->shape->reads_clock)
		return document;
	found = getKeyJsonValueFromContainer(&document->root, KEY, strlen(KEY), NULL);
	return shape_jsonb_reads_clock(nested->shape, found) ? NULL : document;
}

Datum
nested_populate(Nested *nested, Jsonb *document, bool exact)
{
	Populate *populate = exact ? &nested->exact : &nested->given;
	HeapTupleHeader row = DatumGetHeapTupleHeader(
		FunctionCall2(&populate->function, populate->row, JsonbPGetDatum(document)));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};
	bool isnull;
	Datum value = heap_getattr(&tuple, 1, populate->desc, &isnull);

	if (isnull)
		elog(ERROR, "jsonb_populate_record returned NULL");
	return value;
}
