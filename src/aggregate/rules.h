/*
 * rules.h - how the results of two batches become one, from streamagg.merge_rules.
 */
#ifndef STREAMAGG_RULES_H
#define STREAMAGG_RULES_H

#include "postgres.h"

/* Templates in SQL; see the comments of the table. */
typedef struct Rule
{
	int count; /* of partial results */
	char **partials;
	char **merges;
	char *final;
} Rule;

/* The rule of an aggregate function; 0A000 with a hint when there is none. */
extern Rule *rules_find(Oid aggregate);

/* A template with $1, $2 … replaced by these texts, palloc'd. */
extern char *rules_apply(const char *template, const char *const *arguments, int count);

#endif
