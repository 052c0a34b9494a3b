/*
 * session_judge.h - which session each row of a batch belongs to, and which rows are late.
 */
#ifndef STREAMAGG_SESSION_JUDGE_H
#define STREAMAGG_SESSION_JUDGE_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

/* What one aggregate asks of its sessions; microseconds. */
typedef struct SessionRules
{
	int64 gap;
	int64 lateness;
	bool drops_late;
} SessionRules;

/* A row, in the order of reading among those of its key. */
typedef struct SessionRow
{
	TimestampTz time;
	TimestampTz watermark;
	int session; /* found: the session that it first became part of, -1: left out */
	bool late;
} SessionRow;

/* A session that is stored, or that rows have made; ends are those of windows, last event + gap. */
typedef struct Session
{
	TimestampTz start;
	TimestampTz end;
	int joined_to; /* the session that it has become part of, or itself */
	bool stored;
	ItemPointerData tid; /* of the stored one, and as it was */
	TimestampTz old_start;
	TimestampTz old_end;
} Session;

typedef struct SessionJudge
{
	SessionRules rules;
	Session *sessions; /* of all keys */
	int nsessions;
	int capacity;
	int *live;			/* those of the key at hand that are nobody's part, by their starts … */
	TimestampTz *reach; /* … and the latest end among each of them and those before */
	int nlive;
	int live_capacity;
	int *touched; /* places in live, of the row at hand */
} SessionJudge;

/* A judge without sessions, whose arrays are in the current context. */
extern SessionJudge *session_judge_create(const SessionRules *rules);

/* Rows of another key follow, behind the stored sessions that they may touch; one may be added again. */
extern void session_judge_next_key(SessionJudge *judge);
extern void session_judge_add_stored(SessionJudge *judge, const ItemPointerData *tid,
									 TimestampTz start, TimestampTz end);

/* Fills the row's session and late. */
extern void session_judge_row(SessionJudge *judge, SessionRow *row);

/* The session that one has become part of in the end. */
extern Session *session_judge_found(SessionJudge *judge, int session);

/* A time later, saturated as the ends of windows are. */
extern TimestampTz session_later(TimestampTz time, int64 by);

#endif
