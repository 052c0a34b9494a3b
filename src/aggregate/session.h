/*
 * session.h - session windows of an aggregate: its rows of a batch, and the sessions that they make.
 */
#ifndef STREAMAGG_SESSION_H
#define STREAMAGG_SESSION_H

#include "tcop/dest.h"

#include "batch.h"
#include "definition.h"
#include "run.h"
#include "session_moves.h"
#include "source.h"

typedef struct Sessions Sessions;

/* In the current context. */
extern Sessions *session_create(const Definition *definition, Oid state, int64 lateness);

/*
 * A new start, whatever became of the last; the receiver of the rows of rewrite_session_rows(), or of
 * rewrite_session_archive() where there is no batch.
 */
extern DestReceiver *session_begin(Sessions *sessions, const Batch *batch);

/*
 * Finds which session each row is part of: of a batch with those that are stored, in the snapshot that
 * reads the state.
 */
extern void session_judge(Sessions *sessions);

/* How many rows have one; which stored sessions are to be moved. */
extern int64 session_rows_kept(const Sessions *sessions);
extern SessionMoves *session_moves(const Sessions *sessions);

/*
 * Of those with rows, the sessions that have other times than before, or were none, and end by then: how
 * many, and their times, in the current context.
 */
extern int
session_new_times(const Sessions *sessions, TimestampTz until, Datum **starts, Datum **ends);

/* Frees the rows. */
extern void session_end(Sessions *sessions);

/* What batch_session_rows() and batch_session_moves() return from now on; what they did before. */
extern Sessions *session_offer(Sessions *sessions);

/* Whether some key has rows of several partitions. */
extern bool session_mixes_partitions(const Sessions *sessions);

/* session_run.c: a batch of the aggregate, within SPI and with its rows on offer. */
extern void session_run(const RowRun *run);

/* Counts the rows that were late in the last run, marks them, and frees all rows. */
extern void session_count_late(Aggregate *aggregate, bool *late);

/*
 * session_replay.c: runs the body, in SPI, while rewrite_whole_rows() over these rows, of a source that is
 * ordered, has their sessions as the batches made them; the statements in it under neutral settings.
 * Errors: 0A000 where a key has rows of several partitions.
 */
extern void session_replay(const SourceRows *rows, void (*body)(void *), void *argument);

#endif
