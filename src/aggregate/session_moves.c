/*
 * session_moves.c - stored sessions that become part of others, in rounds.
 *
 * A statement changes a row only once, so what goes into one session takes turns.  A batch may bridge
 * thousands: they are put together in pairs, then the pairs, and the last one into the session that is their
 * own.  So a session is moved log2(n) times at most, and there are as many statements.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "session_moves.h"

/* Those of one target follow each other. */
typedef struct Move
{
	int session; /* of the judge */
	int target;
	int place; /* among those of the target */
} Move;

struct SessionMoves
{
	SessionJudge *judge;
	Move *moves;
	int count;
	int stride; /* places between the two of a pair; 0: the first of each goes into its target */
	int *round; /* moves of this round */
	int nround;
	bool ended;
};

/* Whether the stored session is told apart by what has changed. */
static bool
is_moved(const SessionJudge *judge, const Session *session, const Session *target)
{
	return session->stored && (session->old_start != target->start ||
							   (judge->rules.drops_late && session->old_end != target->end));
}

static int
compare_targets(const void *a, const void *b)
{
	const Move *x = a;
	const Move *y = b;

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	return x->session < y->session ? -1 : x->session > y->session;
}

SessionMoves *
session_moves_find(SessionJudge *judge)
{
	SessionMoves *moves = palloc0(sizeof(SessionMoves));

	moves->judge = judge;
	moves->moves = palloc_extended(sizeof(Move) * Max(judge->nsessions, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < judge->nsessions; i++)
	{
		Session *target = session_judge_found(judge, i);

		if (is_moved(judge, &judge->sessions[i], target))
			moves->moves[moves->count++] = (Move){i, (int) (target - judge->sessions), 0};
	}
	qsort(moves->moves, moves->count, sizeof(Move), compare_targets);
	for (int i = 1; i < moves->count; i++)
		if (moves->moves[i].target == moves->moves[i - 1].target)
			moves->moves[i].place = moves->moves[i - 1].place + 1;
	moves->round = palloc_extended(sizeof(int) * Max(moves->count, 1), MCXT_ALLOC_HUGE);
	moves->stride = 1;
	return moves;
}

/* Of each pair the second goes into the first. */
static bool
is_of_round(const SessionMoves *moves, const Move *move)
{
	if (moves->stride == 0)
		return move->place == 0;
	return move->place % ((int64) 2 * moves->stride) == moves->stride;
}

int
session_moves_next(SessionMoves *moves)
{
	if (moves->ended)
		return 0;
	if (moves->nround > 0)
		moves->stride *= 2;
	moves->nround = 0;
	for (int i = 0; i < moves->count; i++)
		if (is_of_round(moves, &moves->moves[i]))
			moves->round[moves->nround++] = i;
	if (moves->stride == 0)
		moves->ended = true;
	else if (moves->nround == 0)
	{
		moves->stride = 0;
		return session_moves_next(moves);
	}
	return moves->nround;
}

/* The first of a move's pair. */
static Session *
partner(const SessionMoves *moves, int move)
{
	return &moves->judge->sessions[moves->moves[move - moves->stride].session];
}

void
session_moves_put(const SessionMoves *moves, Tuplestorestate *store, TupleDesc desc)
{
	bool isnull[4] = {false, false, false, false};

	for (int i = 0; i < moves->nround; i++)
	{
		const Move *move = &moves->moves[moves->round[i]];
		const Session *pair = moves->stride > 0 ? partner(moves, moves->round[i]) : NULL;
		const Session *target = &moves->judge->sessions[move->target];
		Datum values[4] = {Int32GetDatum(i),
						   PointerGetDatum(&moves->judge->sessions[move->session].tid),
						   TimestampTzGetDatum(pair ? pair->old_start : target->start),
						   TimestampTzGetDatum(pair ? pair->old_end : target->end)};

		tuplestore_putvalues(store, desc, values, isnull);
	}
}

void
session_moves_done(SessionMoves *moves, int number, const ItemPointerData *tid)
{
	if (moves->stride > 0)
		partner(moves, moves->round[number])->tid = *tid;
}
