/*
 * labels.c - the labels of an enum type in a sorted array, read anew when some enum is altered.
 *
 * The type's input looks labels up in the catalog cache, which would keep an entry for every text
 * that is none; and it raises an error for it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_enum.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "labels.h"

typedef struct Label
{
	NameData name;
	Oid value;
	bool committed;
} Label;

struct Labels
{
	MemoryContext context;
	Oid type;
	uint64 generation; /* of the catalog when they were read */
	int count;
	Label *labels;
};

static uint64 generation = 1;

static void
on_enum_change(Datum argument, int cache, uint32 hash)
{
	generation++;
}

static int
compare_labels(const void *left, const void *right)
{
	return strcmp(NameStr(((const Label *) left)->name), NameStr(((const Label *) right)->name));
}

static void
add(Labels *labels, HeapTuple tuple)
{
	Form_pg_enum row = (Form_pg_enum) GETSTRUCT(tuple);
	Label *label = &labels->labels[labels->count++];

	label->name = row->enumlabel;
	label->value = row->oid;
	label->committed = HeapTupleHeaderXminCommitted(tuple->t_data);
}

static void
read_labels(Labels *labels)
{
	uint64 read_generation = generation;
	int capacity = 16;
	Relation rel = table_open(EnumRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	MemoryContextReset(labels->context);
	labels->generation = 0;
	labels->count = 0;
	labels->labels = MemoryContextAlloc(labels->context, sizeof(Label) * capacity);
	ScanKeyInit(&key, Anum_pg_enum_enumtypid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(labels->type));
	scan = systable_beginscan(rel, EnumTypIdLabelIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (labels->count == capacity)
			labels->labels = repalloc(labels->labels, sizeof(Label) * (capacity *= 2));
		add(labels, tuple);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	qsort(labels->labels, labels->count, sizeof(Label), compare_labels);
	labels->generation = read_generation;
}

Labels *
labels_create(Oid type)
{
	static bool registered = false;
	Labels *labels = palloc0(sizeof(Labels));

	if (!registered)
		CacheRegisterSyscacheCallback(ENUMOID, on_enum_change, 0);
	registered = true;
	labels->context =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg labels", ALLOCSET_SMALL_SIZES);
	labels->type = type;
	return labels;
}

Oid
labels_find(Labels *labels, const char *text, size_t length, bool *usable)
{
	Label wanted;
	const Label *found;

	if (length >= NAMEDATALEN)
		return InvalidOid;
	if (labels->generation != generation)
		read_labels(labels);
	memcpy(NameStr(wanted.name), text, length);
	NameStr(wanted.name)[length] = '\0';
	found = bsearch(&wanted, labels->labels, labels->count, sizeof(Label), compare_labels);
	*usable = found && found->committed;
	return found ? found->value : InvalidOid;
}
