/*
 * expression.c - text of a user's that must be one expression.
 *
 * It is parsed by itself, before it becomes part of a statement: so it cannot reach over its place.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "parser/parser.h"

#include "expression.h"
#include "streamagg.h"

void
expression_place_error(void *text)
{
	int position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery(text);
}

static bool
is_one_expression(const SelectStmt *parsed)
{
	return list_length(parsed->targetList) == 1 &&
		   linitial_node(ResTarget, parsed->targetList)->name == NULL &&
		   parsed->distinctClause == NIL && parsed->fromClause == NIL &&
		   parsed->whereClause == NULL && parsed->groupClause == NIL &&
		   parsed->havingClause == NULL && parsed->windowClause == NIL &&
		   parsed->sortClause == NIL && parsed->limitOffset == NULL && parsed->limitCount == NULL &&
		   parsed->lockingClause == NIL;
}

Node *
expression_parse(const char *text)
{
	ErrorContextCallback callback = {error_context_stack, expression_place_error, pstrdup(text)};
	SelectStmt *parsed;

	error_context_stack = &callback;
	parsed = (SelectStmt *) linitial_node(RawStmt, raw_parser(text, RAW_PARSE_PLPGSQL_EXPR))->stmt;
	error_context_stack = callback.previous;
	return is_one_expression(parsed) ? linitial_node(ResTarget, parsed->targetList)->val : NULL;
}
