/*
 * session_judge.c - which session each row of a batch belongs to, and which rows are late.
 *
 * Rows come in the order of reading, key by key.  A row touches the sessions within the gap of it, ends
 * included; it joins them, or starts one of its own.  It is late when the session that it would form
 * with those that are still open is closed.  With late 'merge' it joins what it touches all the same;
 * where late rows are dropped, closed sessions are out of reach, so sessions of a key may overlap.
 *
 * The sessions of a key are kept sorted by their starts.  Beside each stands the latest end of it and
 * all before it: going back from a row, nothing is touched any more where that lies before the row.
 * So a row that comes in order costs a look at the last ones, however long they are.
 *
 * It knows neither SQL nor tables; session.c calls it.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/timestamp.h"

#include "session_judge.h"

TimestampTz
session_later(TimestampTz time, int64 by)
{
	TimestampTz later;

	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	if (pg_add_s64_overflow(time, by, &later) || later >= END_TIMESTAMP)
		return DT_NOEND;
	return later;
}

SessionJudge *
session_judge_create(const SessionRules *rules)
{
	SessionJudge *judge = palloc0(sizeof(SessionJudge));

	judge->rules = *rules;
	judge->capacity = judge->live_capacity = 64;
	judge->sessions = palloc(sizeof(Session) * judge->capacity);
	judge->live = palloc(sizeof(int) * judge->live_capacity);
	judge->reach = palloc(sizeof(TimestampTz) * judge->live_capacity);
	judge->touched = palloc(sizeof(int) * judge->live_capacity);
	return judge;
}

/* ---------------------------------------------------------------- the sessions of a key */

static int
new_session(SessionJudge *judge, TimestampTz start, TimestampTz end)
{
	int number = judge->nsessions++;

	if (number == judge->capacity)
	{
		judge->capacity *= 2;
		judge->sessions = repalloc_huge(judge->sessions, sizeof(Session) * (Size) judge->capacity);
	}
	judge->sessions[number] =
		(Session){.start = start, .end = end, .joined_to = number, .stored = false};
	return number;
}

static void
make_room(SessionJudge *judge)
{
	Size room;

	if (judge->nlive < judge->live_capacity)
		return;
	room = (Size) judge->live_capacity * 2;
	judge->live = repalloc_huge(judge->live, sizeof(int) * room);
	judge->touched = repalloc_huge(judge->touched, sizeof(int) * room);
	judge->reach = repalloc_huge(judge->reach, sizeof(TimestampTz) * room);
	judge->live_capacity = (int) room;
}

/* How many of the sessions start at this time or before. */
static int
count_until(const SessionJudge *judge, TimestampTz time)
{
	int low = 0;
	int high = judge->nlive;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (judge->sessions[judge->live[middle]].start <= time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* From the place on, where a session was put or has grown, until it makes no difference. */
static void
reach_again(SessionJudge *judge, int place)
{
	for (int i = place; i < judge->nlive; i++)
	{
		TimestampTz end = judge->sessions[judge->live[i]].end;
		TimestampTz reach = i > 0 ? Max(judge->reach[i - 1], end) : end;

		if (i > place && judge->reach[i] == reach)
			break;
		judge->reach[i] = reach;
	}
}

static void
take_out(SessionJudge *judge, int place)
{
	judge->nlive--;
	memmove(judge->live + place, judge->live + place + 1,
			sizeof(int) * (Size) (judge->nlive - place));
	memmove(judge->reach + place, judge->reach + place + 1,
			sizeof(TimestampTz) * (Size) (judge->nlive - place));
}

static int
put_in(SessionJudge *judge, int session)
{
	int place = count_until(judge, judge->sessions[session].start);

	make_room(judge);
	memmove(judge->live + place + 1, judge->live + place,
			sizeof(int) * (Size) (judge->nlive - place));
	memmove(judge->reach + place + 1, judge->reach + place,
			sizeof(TimestampTz) * (Size) (judge->nlive - place));
	judge->live[place] = session;
	judge->nlive++;
	return place;
}

void
session_judge_next_key(SessionJudge *judge)
{
	judge->nlive = 0;
}

static bool
is_there(const SessionJudge *judge, const ItemPointerData *tid, TimestampTz start)
{
	for (int i = count_until(judge, start) - 1; i >= 0; i--)
	{
		const Session *session = &judge->sessions[judge->live[i]];

		if (session->start != start)
			return false;
		if (ItemPointerEquals(unconstify(ItemPointerData *, &session->tid),
							  unconstify(ItemPointerData *, tid)))
			return true;
	}
	return false;
}

void
session_judge_add_stored(SessionJudge *judge, const ItemPointerData *tid, TimestampTz start,
						 TimestampTz end)
{
	Session *session;
	int number;

	if (is_there(judge, tid, start))
		return;
	number = new_session(judge, start, end);
	session = &judge->sessions[number];
	session->stored = true;
	session->tid = *tid;
	session->old_start = start;
	session->old_end = end;
	reach_again(judge, put_in(judge, number));
}

/* ---------------------------------------------------------------- a row */

/* Whether the watermark has passed a session that ends here. */
static bool
is_closed(const SessionJudge *judge, TimestampTz end, TimestampTz watermark)
{
	return !TIMESTAMP_IS_NOBEGIN(watermark) &&
		   session_later(end, judge->rules.lateness) <= watermark;
}

/*
 * The places of the sessions that the row may join, the last first; *end becomes that of the session
 * that it would form with those that are open.
 */
static int
touch(SessionJudge *judge, const SessionRow *row, TimestampTz *end)
{
	int count = 0;

	for (int i = count_until(judge, *end) - 1; i >= 0 && judge->reach[i] >= row->time; i--)
	{
		const Session *session = &judge->sessions[judge->live[i]];
		bool closed;

		if (session->end < row->time)
			continue;
		closed = is_closed(judge, session->end, row->watermark);
		if (!closed)
			*end = Max(*end, session->end);
		if (!closed || !judge->rules.drops_late)
			judge->touched[count++] = i;
	}
	return count;
}

/* The row and all that it touches become one, which is the first of them. */
static int
join(SessionJudge *judge, const SessionRow *row, int count)
{
	int first = judge->touched[count - 1];
	int number = judge->live[first];
	Session *session = &judge->sessions[number];

	for (int i = 0; i < count; i++)
	{
		Session *other = &judge->sessions[judge->live[judge->touched[i]]];

		other->joined_to = number;
		session->end = Max(session->end, other->end);
		if (i < count - 1 || row->time < session->start)
			take_out(judge, judge->touched[i]);
	}
	session->end = Max(session->end, session_later(row->time, judge->rules.gap));
	if (row->time < session->start)
	{
		session->start = row->time;
		first = put_in(judge, number);
	}
	reach_again(judge, first);
	return number;
}

void
session_judge_row(SessionJudge *judge, SessionRow *row)
{
	TimestampTz alone = session_later(row->time, judge->rules.gap);
	TimestampTz end = alone;
	int count = touch(judge, row, &end);

	row->late = is_closed(judge, end, row->watermark);
	row->session = -1;
	if (row->late && judge->rules.drops_late)
		return;
	if (count > 0)
		row->session = join(judge, row, count);
	else
	{
		row->session = new_session(judge, row->time, alone);
		reach_again(judge, put_in(judge, row->session));
	}
}

Session *
session_judge_found(SessionJudge *judge, int session)
{
	Session *sessions = judge->sessions;

	/* halving the way for those who come after */
	while (sessions[session].joined_to != session)
		session = sessions[session].joined_to = sessions[sessions[session].joined_to].joined_to;
	return &sessions[session];
}
