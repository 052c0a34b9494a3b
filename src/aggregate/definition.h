/*
 * definition.h - an aggregate's query, understood: its stream, window, keys and partial results.
 */
#ifndef STREAMAGG_DEFINITION_H
#define STREAMAGG_DEFINITION_H

#include "nodes/parsenodes.h"

#include "window.h"

/* A group key; those of the window, where there is one, come first. */
typedef struct Key
{
	Node *expression;
	char *column; /* of the state table */
} Key;

/* One aggregate function call of the query, whatever the number of places where it stands. */
typedef struct Call
{
	Aggref *aggref;
	const char *output; /* the output column that it is the whole of, or NULL */
	struct Rule *rule;	/* see rules.h */
	char **columns;		/* of the state table, one a partial result */
	char *known; /* its boolean column that says whether a group has them, or NULL: all have */
	bool is_new; /* add_column() is about to make its columns */
	int side;	 /* the number of the side table of its DISTINCT values, from 1; 0: none */
} Call;

typedef struct Definition
{
	Query *query;
	Oid stream;
	Index stream_index; /* in the query's range table */
	Window window;
	Index window_index; /* the window function's range table entry; 0: none */
	int nwindow;		/* leading keys that are the window's: 1: its start; 2: its end, too */
	Node *window_keys[2];
	bool drops_late; /* of the aggregate, set by who knows it: what tells its sessions apart */
	int nkeys;
	Key *keys;
	int ncalls;
	Call *calls;
	int added; /* last columns of the query that the view has behind updated_at */
	/* where pairs of row and window are left out, see rewrite.c: */
	List *carried;	 /* of TargetEntry: what the condition reads of a row */
	char *condition; /* SQL over the inner SELECT, NULL: none */
	int nsides;		 /* side tables of DISTINCT values … */
	char **sides;	 /* … and their qualified, quoted names, where they are made */
} Definition;

/*
 * Parses one SELECT with the current search_path, in the current context.  Errors: those of the
 * parser; 42601 for anything but one SELECT; 0A000 for windows of later versions.
 */
extern Query *definition_parse(const char *sql);
/* The same with one more output column: an expression (raw) and its name. */
extern Query *definition_parse_with(const char *sql, Node *expression, const char *name);

/*
 * Understands a query.  Errors: 0A000 with reason and hint for what cannot be a continuous
 * aggregate; 42809 when no stream is in its FROM.
 */
extern Definition *definition_analyze(Query *query);

/* The columns of the stream that the query reads, numbers from 1; a whole row is all of them. */
extern Bitmapset *definition_columns(const Definition *definition);

/* inspect.c: raises 0A000 for every construct that is not on the list of what is allowed. */
/* The part that can be judged before the stream is found. */
extern void definition_inspect_shape(Query *query);
extern void definition_inspect(Query *query, Index stream_index);
extern Index definition_find_stream(Query *query);

/*
 * What one statement of a batch is about, in the current context.  0: the definition without the calls
 * that have a side table; from 1: the values of a side table, as a further key, and no calls.
 */
extern Definition *definition_part(const Definition *definition, int side);

/*
 * The argument of a call that has one, and the same where the call's filter lets the row in, NULL
 * elsewhere: it is computed for no other rows.
 */
extern Node *definition_argument(const Aggref *aggref);
extern Node *definition_filtered_argument(const Aggref *aggref, Node *argument);

/* Names for the columns of the state table; stored ones where they are given. */
extern void definition_name_columns(Definition *definition);
extern void definition_set_columns(Definition *definition, List *keys, List *states, List *knowns);
/* Those of new calls, beside names that are taken. */
extern void definition_name_new_calls(Definition *definition, List *taken);
/* The columns that calls' known names, each once. */
extern List *definition_known_columns(const Definition *definition);

#endif
