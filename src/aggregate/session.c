/*
 * session.c - the rows of a batch on their way into sessions.
 *
 * PostgreSQL's executor does FROM, WHERE, joins and expressions, once, and sorts the rows by their keys;
 * they are kept here while it is found which session each is part of (session_judge.c, with what
 * session_find.c finds stored), and go back into SQL by batch_session_rows().
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "fdw/scan.h"
#include "rewrite_parts.h"
#include "session.h"
#include "session_find.h"
#include "session_judge.h"
#include "session_moves.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_session);
PG_FUNCTION_INFO_V1(streamagg_batch_session_rows);
PG_FUNCTION_INFO_V1(streamagg_batch_session_moves);

#define COLUMNS_OF_WINDOW 2
/* Behind those that the groups are made of: what says of a row where it stands. */
#define COLUMNS_OF_BATCH 2	 /* _row, _key */
#define COLUMNS_OF_ARCHIVE 5 /* _partition, _watermark, _received_at, _offset, _key */

typedef struct KeptRow
{
	MinimalTuple tuple;
	int64 key;	/* rows of equal keys have equal numbers, and follow each other */
	int number; /* in the batch; of the archive its partition */
	SessionRow row;
} KeptRow;

struct Sessions
{
	DestReceiver receiver;
	SessionRules rules;
	Oid state;
	List *columns; /* of the state table, that tell sessions apart */
	char *end;
	MemoryContext context; /* of all that follows */
	const Batch *batch;	   /* NULL: the archive's rows */
	TupleDesc desc;
	TupleTableSlot *slot;
	KeptRow *rows;
	int64 nrows;
	int64 capacity;
	int64 kept;
	SessionJudge *judge;
	SessionMoves *moves;
};

static Sessions *offered = NULL;

/* ---------------------------------------------------------------- rows come */

static void
start_up(DestReceiver *self, int operation, TupleDesc desc)
{
	Sessions *sessions = (Sessions *) self;
	MemoryContext old = MemoryContextSwitchTo(sessions->context);

	sessions->desc = CreateTupleDescCopy(desc);
	sessions->slot = MakeSingleTupleTableSlot(sessions->desc, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
}

static void
shut_down(DestReceiver *self)
{
}

static int
columns_behind(const Sessions *sessions)
{
	return sessions->batch ? COLUMNS_OF_BATCH : COLUMNS_OF_ARCHIVE;
}

/* values: those behind. */
static void
place_row(const Sessions *sessions, KeptRow *kept, const Datum *values, Datum time)
{
	if (sessions->batch)
	{
		const BatchRow *found;

		kept->number = (int) scan_row((ItemPointer) DatumGetPointer(values[0]));
		found = &sessions->batch->rows[kept->number];
		kept->row.time = found->event_time;
		kept->row.watermark = found->watermark;
	}
	else
	{
		kept->number = DatumGetInt32(values[0]);
		kept->row.time = DatumGetTimestampTz(time);
		kept->row.watermark = DatumGetTimestampTz(values[1]);
	}
	kept->key = DatumGetInt64(values[columns_behind(sessions) - 1]);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Sessions *sessions = (Sessions *) self;
	MemoryContext old = MemoryContextSwitchTo(sessions->context);
	int natts = slot->tts_tupleDescriptor->natts;
	KeptRow *kept;

	if (sessions->nrows == sessions->capacity)
	{
		sessions->capacity *= 2;
		sessions->rows = repalloc_huge(sessions->rows, sizeof(KeptRow) * sessions->capacity);
	}
	kept = &sessions->rows[sessions->nrows++];
	slot_getallattrs(slot);
	kept->tuple = ExecCopySlotMinimalTuple(slot);
	place_row(sessions, kept, slot->tts_values + natts - columns_behind(sessions),
			  slot->tts_values[0]);
	MemoryContextSwitchTo(old);
	return true;
}

Sessions *
session_create(const Definition *definition, Oid state, int64 lateness)
{
	Sessions *sessions = palloc0(sizeof(Sessions));

	sessions->receiver =
		(DestReceiver){receive_row, start_up, shut_down, shut_down, DestTuplestore};
	sessions->rules = (SessionRules){definition->window.size, lateness, definition->drops_late};
	sessions->state = state;
	sessions->columns = rewrite_session_columns(definition);
	sessions->end = definition->keys[1].column;
	sessions->context =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg sessions", ALLOCSET_DEFAULT_SIZES);
	return sessions;
}

DestReceiver *
session_begin(Sessions *sessions, const Batch *batch)
{
	session_end(sessions);
	sessions->batch = batch;
	sessions->capacity = 256;
	sessions->rows = MemoryContextAlloc(sessions->context, sizeof(KeptRow) * sessions->capacity);
	return &sessions->receiver;
}

void
session_end(Sessions *sessions)
{
	sessions->rows = NULL;
	sessions->judge = NULL;
	sessions->moves = NULL;
	sessions->nrows = sessions->kept = 0;
	MemoryContextReset(sessions->context);
}

/* ---------------------------------------------------------------- what they are part of */

/* The columns of a row; they live until the next call. */
static void
open_row(Sessions *sessions, int64 row)
{
	ExecStoreMinimalTuple(sessions->rows[row].tuple, sessions->slot, false);
	slot_getallattrs(sessions->slot);
}

static int
compare_times(const void *a, const void *b)
{
	TimestampTz x = ((const SessionRow *) a)->time;
	TimestampTz y = ((const SessionRow *) b)->time;

	return x < y ? -1 : x > y;
}

/*
 * The stored sessions that rows [first, end), of one key, may touch.  Rows that touch each other share a
 * search: what overlaps their span is touched by one of them.
 */
static void
find_stored(Sessions *sessions, SessionFinder *finder, int64 first, int64 end)
{
	int64 count = end - first;
	SessionRow *rows = palloc_extended(sizeof(SessionRow) * count, MCXT_ALLOC_HUGE);
	int64 next;

	for (int64 i = 0; i < count; i++)
		rows[i] = sessions->rows[first + i].row;
	qsort(rows, count, sizeof(SessionRow), compare_times);
	open_row(sessions, first);
	for (int64 i = 0; i < count; i = next)
	{
		TimestampTz to = session_later(rows[i].time, sessions->rules.gap);
		TimestampTz watermark = rows[i].watermark;

		for (next = i + 1; next < count && rows[next].time <= to; next++)
		{
			to = session_later(rows[next].time, sessions->rules.gap);
			watermark = Min(watermark, rows[next].watermark);
		}
		session_find(finder, sessions->judge, sessions->slot->tts_values + COLUMNS_OF_WINDOW,
					 sessions->slot->tts_isnull + COLUMNS_OF_WINDOW, rows[i].time, to, watermark);
	}
	pfree(rows);
}

static void
judge_key(Sessions *sessions, SessionFinder *finder, int64 first, int64 end)
{
	session_judge_next_key(sessions->judge);
	if (finder)
		find_stored(sessions, finder, first, end);
	for (int64 i = first; i < end; i++)
	{
		session_judge_row(sessions->judge, &sessions->rows[i].row);
		sessions->kept += sessions->rows[i].row.session >= 0;
	}
}

void
session_judge(Sessions *sessions)
{
	MemoryContext old = MemoryContextSwitchTo(sessions->context);
	SessionFinder *finder = NULL;
	int64 end;

	if (sessions->batch)
		finder =
			session_find_begin(sessions->state, sessions->columns, sessions->end, &sessions->rules);
	sessions->judge = session_judge_create(&sessions->rules);
	for (int64 first = 0; first < sessions->nrows; first = end)
	{
		for (end = first + 1; end < sessions->nrows; end++)
			if (sessions->rows[end].key != sessions->rows[first].key)
				break;
		CHECK_FOR_INTERRUPTS();
		judge_key(sessions, finder, first, end);
	}
	if (finder)
		session_find_end(finder);
	sessions->moves = session_moves_find(sessions->judge);
	MemoryContextSwitchTo(old);
}

bool
session_mixes_partitions(const Sessions *sessions)
{
	for (int64 i = 1; i < sessions->nrows; i++)
		if (sessions->rows[i].key == sessions->rows[i - 1].key &&
			sessions->rows[i].number != sessions->rows[i - 1].number)
			return true;
	return false;
}

int64
session_rows_kept(const Sessions *sessions)
{
	return sessions->kept;
}

SessionMoves *
session_moves(const Sessions *sessions)
{
	return sessions->moves;
}

static bool
has_changed(const SessionJudge *judge, int number)
{
	const Session *session = &judge->sessions[number];

	return session->joined_to == number &&
		   (!session->stored || session->start != session->old_start ||
			session->end != session->old_end);
}

int
session_new_times(const Sessions *sessions, TimestampTz until, Datum **starts, Datum **ends)
{
	const SessionJudge *judge = sessions->judge;
	int count = 0;

	*starts = *ends = NULL;
	for (int i = 0; i < judge->nsessions; i++)
	{
		if (judge->sessions[i].end > until || !has_changed(judge, i))
			continue;
		if (count == 0)
		{
			*starts = palloc_extended(sizeof(Datum) * judge->nsessions, MCXT_ALLOC_HUGE);
			*ends = palloc_extended(sizeof(Datum) * judge->nsessions, MCXT_ALLOC_HUGE);
		}
		(*starts)[count] = TimestampTzGetDatum(judge->sessions[i].start);
		(*ends)[count++] = TimestampTzGetDatum(judge->sessions[i].end);
	}
	return count;
}

void
session_count_late(Aggregate *aggregate, bool *late)
{
	Sessions *sessions = aggregate->sessions;

	for (int64 i = 0; i < sessions->nrows; i++)
	{
		if (!sessions->rows[i].row.late)
			continue;
		aggregate->late_rows++;
		late[sessions->rows[i].number] = true;
	}
	aggregate->late_pairs = aggregate->late_rows;
	session_end(sessions);
}

/* ---------------------------------------------------------------- back into SQL */

Sessions *
session_offer(Sessions *sessions)
{
	Sessions *before = offered;

	offered = sessions;
	return before;
}

static void
require_offer(void)
{
	if (offered == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("there are no sessions outside a batch")));
}

/* Whoever calls it, it never hands out a value as something that it is not. */
static void
check_columns(const Sessions *sessions, TupleDesc desc)
{
	bool fits = desc->natts == sessions->desc->natts - columns_behind(sessions);

	for (int i = 0; fits && i < desc->natts; i++)
		fits = TupleDescAttr(desc, i)->atttypid == TupleDescAttr(sessions->desc, i)->atttypid;
	if (!fits)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the rows of the batch have other columns")));
}

/* streamagg.batch_session_rows() */
Datum
streamagg_batch_session_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	require_offer();
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	check_columns(offered, result->setDesc);
	for (int64 i = 0; i < offered->nrows; i++)
	{
		const Session *session;

		if (offered->rows[i].row.session < 0)
			continue;
		session = session_judge_found(offered->judge, offered->rows[i].row.session);
		open_row(offered, i);
		offered->slot->tts_values[0] = TimestampTzGetDatum(session->start);
		offered->slot->tts_values[1] = TimestampTzGetDatum(session->end);
		tuplestore_putvalues(result->setResult, result->setDesc, offered->slot->tts_values,
							 offered->slot->tts_isnull);
	}
	return (Datum) 0;
}

/* streamagg.batch_session_moves() */
Datum
streamagg_batch_session_moves(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	require_offer();
	InitMaterializedSRF(fcinfo, 0);
	session_moves_put(offered->moves, result->setResult, result->setDesc);
	return (Datum) 0;
}

/* streamagg.session(ts, gap) */
Datum
streamagg_session(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("streamagg.session() is for the queries of continuous aggregates only"),
					errdetail("A session is made of many rows, and a function sees one."),
					errhint("Make an aggregate with streamagg.create_aggregate() and read its "
							"view.")));
}
