/*
 * rule_template.h - a template of a merge rule, looked at before it is stored.
 */
#ifndef STREAMAGG_RULE_TEMPLATE_H
#define STREAMAGG_RULE_TEMPLATE_H

#include "postgres.h"

typedef struct Template
{
	const char *what; /* "partial 1", for messages */
	const char *text; /* as it was written */
	char *canonical;  /* as PostgreSQL prints it: names are qualified, without comments */
	char *name;		  /* that a column of it would have */
	Oid type;
} Template;

/*
 * Read with the session's search_path, over parameters $1 … of these types; canonical, name and type are
 * set, in the current context.  Errors: the parser's; 42P17 for what is no immutable expression.
 */
extern void template_read_partial(Template *template, const Oid *types, int count);
extern void template_read_expression(Template *template, const Oid *types, int count);

#endif
