/*
 * rewrite_parts.h - what the files that write SQL share.
 */
#ifndef STREAMAGG_REWRITE_PARTS_H
#define STREAMAGG_REWRITE_PARTS_H

#include "lib/stringinfo.h"

#include "rewrite.h"

#define REWRITE_BY_BYTES " COLLATE pg_catalog.\"C\""
/* A query without GROUP BY has one group, under this constant key. */
#define REWRITE_SINGLE_KEY "_k1"

/* A copy of the expression becomes the next column of a SELECT. */
extern void rewrite_add_target(List **targets, Node *expression, char *name);

/* "(inner SELECT) i", less the pairs of row and window that the definition leaves out. */
extern char *rewrite_pairs(const Definition *definition);

/* SQL of the end of a stored group's window, plus a time; alias is the state table's in the query. */
extern char *rewrite_window_end(const Definition *definition, const char *alias, int64 plus);

/* A value of a call, NULL for groups of the table alias that do not know it. */
extern char *rewrite_if_known(const Call *call, const char *alias, char *value);

/* The key columns of the state, quoted, and their numbers in a SELECT where they come first. */
extern char *rewrite_key_list(const Definition *definition);
extern char *rewrite_key_numbers(const Definition *definition);

/* A column of a table with the type and collation of a target, and a comma. */
extern void rewrite_append_column(StringInfo sql, const char *name, const TargetEntry *target);

/* Behind a CREATE TABLE whose first key is the window's: partitions by its start. */
extern char *rewrite_partitioning(const Definition *definition);

/* Adds a StateMerge for each stored value of a call. */
extern List *rewrite_add_merges(List *merges, const Call *call);

/* Whether equal texts are equal bytes, so that they can be told apart under the collation "C". */
extern bool rewrite_groups_by_bytes(const Node *key);

/* What batch_groups() returns of a definition: _k1 type, …, _a1 type, …. */
extern char *rewrite_group_columns(const Definition *definition);

/* The qualified name of an expression's type, with its parameters. */
extern char *rewrite_type_of(const Node *expression);

/* FROM and WHERE with the targets of rewrite_rows(), to add others to. */
extern Query *rewrite_inner(const Definition *definition);

/* What lets a key be grouped by its bytes, or "". */
extern const char *rewrite_by_bytes(const Node *key);

/* rewrite_session.c: columns of the state table that tell its sessions apart, the start last. */
extern List *rewrite_session_columns(const Definition *definition);
/* The rows of a batch for session.c, and what it says of them, in the shape of rewrite_rows(). */
extern char *rewrite_session_rows(const Definition *definition);
extern char *rewrite_session_batch(const Definition *definition);
/* insert: INSERT INTO state (columns). */
extern char *
rewrite_session_moves(const Definition *definition, const char *state, const char *insert);

#endif
