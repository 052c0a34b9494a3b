/*
 * rewrite_parts.h - what the files that write SQL share.
 */
#ifndef STREAMAGG_REWRITE_PARTS_H
#define STREAMAGG_REWRITE_PARTS_H

#include "rewrite.h"

/* A copy of the expression becomes the next column of a SELECT. */
extern void rewrite_add_target(List **targets, Node *expression, char *name);

/* SQL of the end of a stored group's window, plus a time; alias is the state table's in the query. */
extern char *rewrite_window_end(const Definition *definition, const char *alias, int64 plus);

/* FROM and WHERE with the targets of rewrite_rows(), to add others to. */
extern Query *rewrite_inner(const Definition *definition);

/* The qualified name of an expression's type, and what lets a key be grouped by its bytes, or "". */
extern char *rewrite_type_of(const Node *expression);
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
