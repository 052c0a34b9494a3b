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

/* The SELECT of one batch: keys, then partial results, in the order of the state columns. */
extern char *rewrite_partial_select(const Definition *definition);

/* The statement that a batch runs. */
extern char *rewrite_upsert(const Definition *definition, const char *state);

/* CREATE TABLE of the state, with the types of the partial SELECT. */
extern char *rewrite_create_table(const Definition *definition, const char *state);

/* The view's SELECT over the state table. */
extern char *
rewrite_view(const Definition *definition, const char *state, int64 lateness, bool emit_final);

#endif
