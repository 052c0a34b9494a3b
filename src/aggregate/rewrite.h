/*
 * rewrite.h - the SQL that an aggregate's query becomes.
 */
#ifndef STREAMAGG_REWRITE_H
#define STREAMAGG_REWRITE_H

#include "definition.h"

/*
 * All take a definition whose state columns are named, run with the safe search_path, and return
 * palloc'd SQL; state is the state table's qualified, quoted name.
 */

/* How a batch's partial result goes into a column of the state table. */
typedef struct StateMerge
{
	const char *column;
	const char *assignment;
} StateMerge;

/* The statement that a batch runs, in parts. */
typedef struct Upsert
{
	char *insert; /* INSERT INTO … SELECT … */
	char *rows;	  /* the SELECT that grouping.c groups the rows of, and … */
	char *groups; /* … INSERT INTO … SELECT … of its groups; NULL: not grouped there */
	char *keys;	  /* the conflict's columns */
	List *merges; /* of StateMerge */
	char *moves;  /* of sessions: puts stored ones into those that they have become part of */
} Upsert;

/* grouped: grouping.c can do it. */
extern Upsert *rewrite_upsert(const Definition *definition, const char *state, bool grouped);
/* The whole text of an insert of it; with one merge only, to learn which of them fails. */
extern char *rewrite_upsert_sql(const Upsert *upsert, const char *insert, const StateMerge *only);

/* CREATE TABLE of the state, with the types of the batch's SELECT. */
extern char *rewrite_create_table(const Definition *definition, const char *state);

/* FROM and WHERE of the query; keys as _k1 …, arguments of aggregates as _a1 …, filters as _f1 …. */
extern char *rewrite_rows(const Definition *definition);

/*
 * The same with the windows that all of these rows make: in rewrite_rows() each row is a session of its
 * own.  Where sessions leave out late rows, those that session_replay() offers.  And INSERT INTO … SELECT …
 * of their groups.
 */
extern char *rewrite_whole_rows(const Definition *definition);
extern char *rewrite_fill(const Definition *definition, const char *state);

/* Over source_definition(): the rows for session_replay(), in the order that they were read in. */
extern char *rewrite_session_archive(const Definition *definition);

/*
 * The keys as _k1 …, the calls' values as _a1 …, is_final, updated_at and, where a window function is
 * read, _end: over the state table.
 */
extern char *rewrite_state_select(const Definition *definition, const char *state, int64 lateness);

/* Over such a select: the keys and values, and what the query shows of them as _o1 …. */
extern char *rewrite_values(const Definition *definition, const char *select);

/* The view's SELECT over the state table. */
extern char *
rewrite_view(const Definition *definition, const char *state, int64 lateness, bool emit_final);

#endif
