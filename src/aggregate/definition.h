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
} Definition;

/*
 * Parses one SELECT with the current search_path, in the current context.  Errors: those of the
 * parser; 42601 for anything but one SELECT; 0A000 for windows of later versions.
 */
extern Query *definition_parse(const char *sql);

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

/* Names for the columns of the state table; stored ones where they are given. */
extern void definition_name_columns(Definition *definition);
extern void definition_set_columns(Definition *definition, List *keys, List *states);

#endif
