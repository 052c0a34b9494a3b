/*
 * rules.h - how the results of two batches become one, from streamagg.merge_rules.
 */
#ifndef STREAMAGG_RULES_H
#define STREAMAGG_RULES_H

#include "nodes/primnodes.h"
#include "storage/lockdefs.h"

/* Templates in SQL; see the comments of the table. */
typedef struct Rule
{
	int count; /* of partial results */
	char **partials;
	char **merges;
	char *final;
	char **parts; /* what the stored values are called; NULL: one that has no name of its own */
} Rule;

/* The rule for a call of an aggregate function; 0A000 with reason and hint when there is none. */
extern Rule *rules_find(const Aggref *aggref);

/* The rule that the table has for the function; NULL: none. */
extern Rule *rules_read(Oid aggregate);

/*
 * The rule of an aggregate whose states are its results, which its own combine function merges; NULL
 * when it is no such aggregate, *why then says in a sentence what is missing.
 */
extern Rule *rules_combine(const Aggref *aggref, const char **why);

/* Why PostgreSQL's function cannot be merged, and what to do instead; NULL: nothing is known. */
typedef struct Advice
{
	const char *name;
	const char *reason;
	const char *hint;
} Advice;

extern const Advice *rules_advice(Oid aggregate);

/*
 * Locks streamagg.merge_rules until the end of the transaction: ROW SHARE for who makes an aggregate, so
 * that no rule is dropped meanwhile.
 */
extern void rules_lock(LOCKMODE mode);

/* For the event trigger of drops: rules of one's own go with their functions. */
extern void rules_forget_dropped(void);

/* A template with $1, $2 … replaced by these texts, palloc'd. */
extern char *rules_apply(const char *template, const char *const *arguments, int count);

#endif
