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

/* Of all calls but those that have a side table; grouped: grouping.c can do it. */
extern Upsert *rewrite_upsert(const Definition *definition, const char *state, bool grouped);
/* Behind it, for each side table of the definition, from 1; grouped: its definition_part(). */
extern Upsert *
rewrite_distinct(const Definition *definition, int side, const char *state, bool grouped);
/* The insert alone, of values that stand elsewhere: FROM and WHERE over i, with the keys as _k1 …. */
extern Upsert *rewrite_distinct_from(const Definition *definition, int side, const char *state,
									 const char *source);
/* The whole text of an insert of it; with one merge only, to learn which of them fails. */
extern char *rewrite_upsert_sql(const Upsert *upsert, const char *insert, const StateMerge *only);

/* CREATE TABLE of the state, with the types of the batch's SELECT; partitioned: by the window's start. */
extern char *
rewrite_create_table(const Definition *definition, const char *state, bool partitioned);

/* CREATE INDEX by which sessions that close are found; NULL: another index does. */
extern char *rewrite_create_index(const Definition *definition, const char *state);

/* "name type" of the state columns of new calls, for ALTER TABLE. */
extern List *rewrite_new_columns(const Definition *definition);

/* CREATE TABLE of a side table of distinct values. */
extern char *rewrite_create_side(const Definition *definition, int side, bool partitioned);

/* SELECT of the result of a call's partial over no values. */
extern char *rewrite_no_values(const Call *call, int partial);

/*
 * FROM and WHERE of the query; keys as _k1 …, filters as _f1 …, first arguments of aggregates as _a1 …,
 * further ones as _a1_2 ….
 */
extern char *rewrite_rows(const Definition *definition);

/* The arguments of the call of this number, from 1, as columns of those rows under the name i. */
extern char **rewrite_arguments(const Call *call, int number);

/* SQL of the end of a window, plus a time, over that SELECT as i. */
extern char *rewrite_pair_end(const Definition *definition, int64 plus);

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

/* Over such a select: the keys and values, what the query shows of them as _o1 …, and definition_known_columns(). */
extern char *rewrite_values(const Definition *definition, const char *select);

/* The view's SELECT over the state table. */
extern char *
rewrite_view(const Definition *definition, const char *state, int64 lateness, bool emit_final);

#endif
