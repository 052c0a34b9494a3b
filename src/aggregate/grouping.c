/*
 * grouping.c - the rows of a batch to groups, for the aggregates that nearly all queries are made of.
 *
 * PostgreSQL's executor does FROM, WHERE, joins and expressions; its hash aggregation, which evaluates
 * an expression for each key of each row, costs more than all of that together.  Here a row's keys
 * become a string of bytes that is hashed and compared at once.  That is right where equal values are
 * equal bytes: group_steps.c says for which queries.  The groups come back into SQL by batch_groups(),
 * so the upsert is the same for both.
 *
 * The rows of hop and cumulate come by panes (panes.c).  When all are here, the group of each pane is
 * merged into those of its windows, some at a time: a batch may have far more windows than rows.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "group_steps.h"
#include "grouping.h"
#include "integer.h"
#include "streamagg.h"
#include "window_run.h"

/* Groups at a time: as many as a batch has rows, so that panes take no more memory than others. */
#define PORTION 100000

PG_FUNCTION_INFO_V1(streamagg_batch_groups);

typedef struct KeyBytes
{
	const char *bytes;
	uint32 length;
	uint32 hash;
} KeyBytes;

/* Keys, then states; a pointer is one's own memory. */
typedef struct RowGroup
{
	Datum *values;
	bool *isnull;
	int left_out; /* of a pane: the first so many of its windows */
} RowGroup;

typedef struct GroupSlot
{
	KeyBytes key;
	RowGroup group;
	char status;
} GroupSlot;

#define SH_PREFIX groups
#define SH_ELEMENT_TYPE GroupSlot
#define SH_KEY_TYPE KeyBytes
#define SH_KEY key
#define SH_HASH_KEY(table, key) (key).hash
#define SH_EQUAL(table, a, b)                                                                      \
	((a).length == (b).length && memcmp((a).bytes, (b).bytes, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, slot) (slot)->key.hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct Grouping
{
	DestReceiver receiver;
	int nkeys;
	ValueType *keys;
	int nsteps;
	Step *steps;
	Window window;		   /* whose panes are grouped by; WINDOW_NONE: by the keys as they come */
	int nwindow;		   /* leading keys that are the window's */
	MemoryContext rows;	   /* of the groups that rows make … */
	MemoryContext panes;   /* … and of those that panes make */
	MemoryContext context; /* the one of both that groups are made in */
	groups_hash *table;
	groups_hash *ready; /* what batch_groups() returns: NULL before the first portion */
	groups_iterator iterator;
	const GroupSlot *pane; /* that is merged into its windows … */
	int next_window;	   /* … from this one on */
	int left_out;
	Datum *row;			  /* keys of the row at hand … */
	StringInfoData bytes; /* … and their bytes */
	uint64 seed;
};

static Grouping *offered = NULL;

/* ---------------------------------------------------------------- keys */

/* Values of one's own types are never toasted; those of joined tables may be. */
static Datum
plain(const ValueType *type, Datum value)
{
	return type->length == -1 ? PointerGetDatum(PG_DETOAST_DATUM_PACKED(value)) : value;
}

static void
append_key(StringInfo bytes, const ValueType *type, Datum value)
{
	if (type->by_value)
		appendBinaryStringInfo(bytes, (char *) &value, sizeof(Datum));
	else if (type->length > 0)
		appendBinaryStringInfo(bytes, DatumGetPointer(value), type->length);
	else
	{
		struct varlena *found = (struct varlena *) DatumGetPointer(value);
		uint32 length = VARSIZE_ANY_EXHDR(found);

		appendBinaryStringInfo(bytes, (char *) &length, sizeof(length));
		appendBinaryStringInfo(bytes, VARDATA_ANY(found), length);
	}
}

static KeyBytes
key_of(Grouping *grouping, const Datum *values, const bool *isnull)
{
	StringInfo bytes = &grouping->bytes;
	KeyBytes key;

	resetStringInfo(bytes);
	if (grouping->window.kind != WINDOW_NONE)
		appendBinaryStringInfo(bytes, (char *) &grouping->left_out, sizeof(int));
	for (int i = 0; i < grouping->nkeys; i++)
	{
		appendStringInfoCharMacro(bytes, isnull[i] ? 'n' : 'v');
		if (isnull[i])
			continue;
		grouping->row[i] = plain(&grouping->keys[i], values[i]);
		append_key(bytes, &grouping->keys[i], grouping->row[i]);
	}
	key.bytes = bytes->data;
	key.length = bytes->len;
	key.hash =
		(uint32) hash_bytes_extended((unsigned char *) bytes->data, bytes->len, grouping->seed);
	return key;
}

static void
copy_value(const Grouping *grouping, const ValueType *type, Datum value, Datum *copy)
{
	MemoryContext old = MemoryContextSwitchTo(grouping->context);

	*copy = datumCopy(value, type->by_value, type->length);
	MemoryContextSwitchTo(old);
}

static void
fill_group(Grouping *grouping, GroupSlot *slot, const bool *isnull)
{
	int count = grouping->nkeys + grouping->nsteps;
	char *memory = MemoryContextAllocZero(
		grouping->context, count * (sizeof(Datum) + sizeof(bool)) + slot->key.length);
	RowGroup *group = &slot->group;
	char *bytes = memory + count * (sizeof(Datum) + sizeof(bool));

	memcpy(bytes, slot->key.bytes, slot->key.length);
	slot->key.bytes = bytes;
	group->values = (Datum *) memory;
	group->isnull = (bool *) (memory + count * sizeof(Datum));
	group->left_out = grouping->left_out;
	for (int i = 0; i < grouping->nkeys; i++)
	{
		group->isnull[i] = isnull[i];
		if (!isnull[i])
			copy_value(grouping, &grouping->keys[i], grouping->row[i], &group->values[i]);
	}
	for (int i = 0; i < grouping->nsteps; i++)
		group->isnull[grouping->nkeys + i] = grouping->steps[i].kind != STEP_COUNT;
}

/* The group of these keys in the table, new or not. */
static RowGroup *
find_group(Grouping *grouping, groups_hash *table, const Datum *values, const bool *isnull)
{
	bool found;
	GroupSlot *slot = groups_insert(table, key_of(grouping, values, isnull), &found);

	if (!found)
		fill_group(grouping, slot, isnull);
	return &slot->group;
}

/* ---------------------------------------------------------------- states */

static void
advance_strict(const Grouping *grouping, Step *step, Datum value, Datum *state)
{
	Datum before = *state;
	Datum found = FunctionCall2Coll(&step->function, step->collation, before, value);

	if (step->result.by_value)
		*state = found;
	else if (DatumGetPointer(found) != DatumGetPointer(before))
	{
		copy_value(grouping, &step->result, found, state);
		pfree(DatumGetPointer(before));
	}
}

/* A value that is not NULL; *isnull: it is the group's first. */
static void
advance(const Grouping *grouping, Step *step, Datum value, Datum *state, bool *isnull)
{
	switch (step->kind)
	{
		case STEP_COUNT:
			*state = Int64GetDatum(DatumGetInt64(*state) + 1);
			return;
		case STEP_SUM:
			/* an int2 or int4; a batch has too few rows to overflow */
			*state = Int64GetDatum((*isnull ? 0 : DatumGetInt64(*state)) +
								   integer_of(value, step->input.length));
			*isnull = false;
			return;
		default:
			break;
	}
	if (*isnull)
	{
		copy_value(grouping, &step->result, plain(&step->result, value), state);
		*isnull = false;
	}
	else if (step->kind == STEP_STRICT)
		advance_strict(grouping, step, plain(&step->result, value), state);
	else if ((integer_of(value, step->result.length) < integer_of(*state, step->result.length)) ==
			 (step->kind == STEP_LEAST))
		*state = value;
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Grouping *grouping = (Grouping *) self;
	Datum *values;
	bool *isnull;
	RowGroup *group;

	slot_getallattrs(slot);
	values = slot->tts_values;
	isnull = slot->tts_isnull;
	group = find_group(grouping, grouping->table, values, isnull);
	for (int i = 0; i < grouping->nsteps; i++)
	{
		Step *step = &grouping->steps[i];
		int at = grouping->nkeys + i;

		if (step->filter >= 0 && (isnull[step->filter] || !DatumGetBool(values[step->filter])))
			continue;
		if (step->argument >= 0 && isnull[step->argument])
			continue;
		advance(grouping, step, step->argument >= 0 ? values[step->argument] : (Datum) 0,
				&group->values[at], &group->isnull[at]);
	}
	return true;
}

/* ---------------------------------------------------------------- panes */

/* The states of a group into those of another. */
static void
merge_states(const Grouping *grouping, const RowGroup *from, RowGroup *into)
{
	for (int i = 0; i < grouping->nsteps; i++)
	{
		Step *step = &grouping->steps[i];
		int at = grouping->nkeys + i;

		if (from->isnull[at])
			continue;
		if (step->kind != STEP_COUNT && step->kind != STEP_SUM)
		{
			advance(grouping, step, from->values[at], &into->values[at], &into->isnull[at]);
			continue;
		}
		if (into->isnull[at])
			into->values[at] = Int64GetDatum(0);
		into->values[at] =
			Int64GetDatum(DatumGetInt64(into->values[at]) + DatumGetInt64(from->values[at]));
		into->isnull[at] = false;
	}
}

static void
next_pane(Grouping *grouping)
{
	grouping->pane = groups_iterate(grouping->table, &grouping->iterator);
	grouping->next_window = grouping->pane ? grouping->pane->group.left_out : 0;
}

/* Merges the pane into its windows; returns early when the portion is full. */
static void
merge_pane(Grouping *grouping, Datum *keys)
{
	const RowGroup *pane = &grouping->pane->group;
	WindowRun run = window_run(&grouping->window, DatumGetTimestampTz(pane->values[0]));

	memcpy(keys, pane->values, sizeof(Datum) * grouping->nkeys);
	while (grouping->next_window < run.count)
	{
		WindowBounds bounds = window_run_at(&run, grouping->next_window);

		if (grouping->ready->members >= PORTION)
			return;
		keys[0] = TimestampTzGetDatum(bounds.start);
		if (grouping->nwindow > 1)
			keys[1] = TimestampTzGetDatum(bounds.end);
		merge_states(grouping, pane, find_group(grouping, grouping->ready, keys, pane->isnull));
		grouping->next_window++;
	}
	next_pane(grouping);
}

/* A window of two portions is written twice, and the second adds to the first. */
static void
merge_portion(Grouping *grouping)
{
	Datum *keys = palloc(sizeof(Datum) * grouping->nkeys);

	if (grouping->ready == NULL)
	{
		groups_start_iterate(grouping->table, &grouping->iterator);
		next_pane(grouping);
	}
	grouping->left_out = 0;
	grouping->context = grouping->panes;
	MemoryContextReset(grouping->panes);
	grouping->ready = groups_create(grouping->panes, 256, NULL);
	while (grouping->pane && grouping->ready->members < PORTION)
	{
		CHECK_FOR_INTERRUPTS();
		merge_pane(grouping, keys);
	}
	pfree(keys);
}

/* ---------------------------------------------------------------- a batch */

static void
start_up(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
shut_down(DestReceiver *self)
{
}

Grouping *
grouping_create(const Definition *definition, bool by_panes)
{
	Grouping *grouping = palloc0(sizeof(Grouping));

	grouping->nkeys = definition->nkeys;
	grouping->keys = palloc0(sizeof(ValueType) * Max(definition->nkeys, 1));
	grouping->row = palloc0(sizeof(Datum) * Max(definition->nkeys, 1));
	grouping->nsteps = definition->ncalls;
	grouping->steps = palloc0(sizeof(Step) * Max(definition->ncalls, 1));
	if (!group_steps_prepare(definition, grouping->keys, grouping->steps))
		return NULL;
	grouping->receiver =
		(DestReceiver){receive_row, start_up, shut_down, shut_down, DestTuplestore};
	grouping->rows =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg groups", ALLOCSET_DEFAULT_SIZES);
	if (by_panes)
	{
		grouping->window = definition->window;
		grouping->panes =
			AllocSetContextCreate(CurrentMemoryContext, "streamagg panes", ALLOCSET_DEFAULT_SIZES);
	}
	grouping->nwindow = definition->nwindow;
	initStringInfo(&grouping->bytes);
	/* so that nobody who chooses keys can choose those that collide */
	if (!pg_strong_random(&grouping->seed, sizeof(grouping->seed)))
		elog(ERROR, "could not generate a random number");
	return grouping;
}

DestReceiver *
grouping_begin(Grouping *grouping)
{
	grouping_end(grouping);
	grouping->context = grouping->rows;
	grouping->left_out = 0;
	grouping->table = groups_create(grouping->rows, 256, NULL);
	return &grouping->receiver;
}

void
grouping_leave_out(Grouping *grouping, int windows)
{
	grouping->left_out = windows;
}

bool
grouping_next(Grouping *grouping)
{
	if (grouping->window.kind != WINDOW_NONE)
		merge_portion(grouping);
	else if (grouping->ready == NULL)
		grouping->ready = grouping->table;
	else
		return false;
	return grouping->ready->members > 0;
}

/* What it took is free for the rest of the batch. */
void
grouping_end(Grouping *grouping)
{
	grouping->table = NULL;
	grouping->ready = NULL;
	grouping->pane = NULL;
	MemoryContextReset(grouping->rows);
	if (grouping->panes)
		MemoryContextReset(grouping->panes);
}

Grouping *
grouping_offer(Grouping *grouping)
{
	Grouping *before = offered;

	offered = grouping;
	return before;
}

/* Whoever calls it, it never hands out a value as something that it is not. */
static void
check_columns(const Grouping *grouping, TupleDesc desc)
{
	bool fits = desc->natts == grouping->nkeys + grouping->nsteps;

	for (int i = 0; fits && i < desc->natts; i++)
		fits = TupleDescAttr(desc, i)->atttypid ==
			   (i < grouping->nkeys ? grouping->keys[i].type
									: grouping->steps[i - grouping->nkeys].result.type);
	if (!fits)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the groups of the batch have other columns")));
}

/* streamagg.batch_groups() */
Datum
streamagg_batch_groups(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	groups_iterator iterator;
	GroupSlot *slot;

	if (offered == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("there are no groups outside a batch")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	check_columns(offered, result->setDesc);
	groups_start_iterate(offered->ready, &iterator);
	while ((slot = groups_iterate(offered->ready, &iterator)) != NULL)
		tuplestore_putvalues(result->setResult, result->setDesc, slot->group.values,
							 slot->group.isnull);
	return (Datum) 0;
}
