/*
 * expression.h - text of a user's that must be one expression.
 */
#ifndef STREAMAGG_EXPRESSION_H
#define STREAMAGG_EXPRESSION_H

#include "nodes/nodes.h"

/*
 * The raw tree of the expression; NULL when the text is more than one.  Syntax errors (42601) point into
 * the text.  In the current context.
 */
extern Node *expression_parse(const char *text);

/* An error context callback: an error's position is one in the text, a char *, not in the statement. */
extern void expression_place_error(void *text);

#endif
