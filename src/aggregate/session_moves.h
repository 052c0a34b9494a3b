/*
 * session_moves.h - stored sessions that become part of others, in rounds.
 */
#ifndef STREAMAGG_SESSION_MOVES_H
#define STREAMAGG_SESSION_MOVES_H

#include "session_judge.h"
#include "utils/tuplestore.h"

typedef struct SessionMoves SessionMoves;

/* Those that the judge has found, in the current context; it stays the caller's. */
extern SessionMoves *session_moves_find(SessionJudge *judge);

/* How many are moved in the next round, 0: none is left. */
extern int session_moves_next(SessionMoves *moves);

/* Rows of batch_session_moves(): those of the round. */
extern void session_moves_put(const SessionMoves *moves, Tuplestorestate *store, TupleDesc desc);

/* The next one of the round has gone into the row that is here now. */
extern void session_moves_done(SessionMoves *moves, int number, const ItemPointerData *tid);

#endif
