/*
 * session_find.c - the stored sessions of a key that the rows of a batch may touch.
 *
 * It walks the index of the state table itself.  A join would depend on the planner's guess about a table
 * that grows, and could not look for NULL keys; here each search is one descent, and reads only what
 * it finds and one entry more:
 *
 * - late 'merge': the index is over the keys and window_start.  Sessions of a key lie apart, so going back
 *   from the latest that may be touched, the first that is not is the last that is looked at.
 * - late rows dropped: sessions may overlap, and only those that are open count.  The index is over
 *   the keys, window_end and window_start; it is read from the first end that may be touched or open.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "session_find.h"
#include "streamagg.h"

struct SessionFinder
{
	Relation state;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	AttrNumber start; /* columns of the state table */
	AttrNumber end;
	int nkeys; /* without the window's */
	SessionRules rules;
};

/* ---------------------------------------------------------------- the index */

static bool
is_over(Relation index, Oid state, List *columns)
{
	Form_pg_index form = index->rd_index;
	ListCell *cell;

	if (!form->indisvalid || !form->indisunique || form->indnkeyatts != list_length(columns))
		return false;
	foreach (cell, columns)
		if (form->indkey.values[foreach_current_index(cell)] != get_attnum(state, lfirst(cell)))
			return false;
	return true;
}

static Relation
open_index(Relation state, List *columns)
{
	List *indexes = RelationGetIndexList(state);
	ListCell *cell;

	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);

		if (is_over(index, RelationGetRelid(state), columns))
			return index;
		index_close(index, RowExclusiveLock);
	}
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("state table \"%s\" has lost the unique constraint that its sessions "
						   "are found by",
						   RelationGetRelationName(state)),
					errhint("Make the aggregate anew.")));
}

SessionFinder *
session_find_begin(Oid state, List *columns, const char *end, const SessionRules *rules)
{
	SessionFinder *finder = palloc0(sizeof(SessionFinder));
	int window = rules->drops_late ? 2 : 1; /* of the index's columns */

	finder->rules = *rules;
	finder->state = table_open(state, RowExclusiveLock);
	finder->index = open_index(finder->state, columns);
	finder->nkeys = list_length(columns) - window;
	finder->start = get_attnum(state, llast(columns));
	finder->end = get_attnum(state, end);
	finder->slot = table_slot_create(finder->state, NULL);
	finder->scan = compat_index_beginscan(finder->state, finder->index, GetActiveSnapshot(),
										  finder->nkeys + 1);
	return finder;
}

void
session_find_end(SessionFinder *finder)
{
	index_endscan(finder->scan);
	ExecDropSingleTupleTableSlot(finder->slot);
	index_close(finder->index, NoLock);
	table_close(finder->state, NoLock);
}

/* ---------------------------------------------------------------- a search */

static void
set_bound(const SessionFinder *finder, ScanKey key, int column, StrategyNumber strategy,
		  Datum value, bool isnull)
{
	Relation index = finder->index;
	Oid type = index->rd_opcintype[column];
	Oid operator= get_opfamily_member(index->rd_opfamily[column], type, type, strategy);

	if (isnull)
		ScanKeyEntryInitialize(key, SK_ISNULL | SK_SEARCHNULL, column + 1, InvalidStrategy,
							   InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	else
		ScanKeyEntryInitialize(key, 0, column + 1, strategy, InvalidOid,
							   index->rd_indcollation[column], get_opcode(operator), value);
}

static TimestampTz
time_of(TupleTableSlot *slot, AttrNumber column)
{
	bool isnull;

	return DatumGetTimestampTz(slot_getattr(slot, column, &isnull));
}

/* The end from which on a session may be touched, and is open. */
static TimestampTz
first_end(const SessionFinder *finder, TimestampTz from, TimestampTz watermark)
{
	if (watermark < MIN_TIMESTAMP + finder->rules.lateness)
		return from;
	return Max(from, watermark - finder->rules.lateness + 1);
}

void
session_find(SessionFinder *finder, SessionJudge *judge, const Datum *values, const bool *isnull,
			 TimestampTz from, TimestampTz to, TimestampTz watermark)
{
	ScanKeyData keys[INDEX_MAX_KEYS];
	bool drops = finder->rules.drops_late;
	ScanDirection direction = drops ? ForwardScanDirection : BackwardScanDirection;

	for (int i = 0; i < finder->nkeys; i++)
		set_bound(finder, &keys[i], i, BTEqualStrategyNumber, values[i], isnull[i]);
	set_bound(finder, &keys[finder->nkeys], finder->nkeys,
			  drops ? BTGreaterEqualStrategyNumber : BTLessEqualStrategyNumber,
			  TimestampTzGetDatum(drops ? first_end(finder, from, watermark) : to), false);
	index_rescan(finder->scan, keys, finder->nkeys + 1, NULL, 0);
	while (index_getnext_slot(finder->scan, direction, finder->slot))
	{
		TimestampTz start = time_of(finder->slot, finder->start);
		TimestampTz end = time_of(finder->slot, finder->end);

		if (end < from)
			break;
		if (start <= to)
			session_judge_add_stored(judge, &finder->slot->tts_tid, start, end);
	}
	ExecClearTuple(finder->slot);
}
