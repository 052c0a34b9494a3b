/*
 * side.h - the tables that an aggregate keeps beside its state: streamagg.side_tables.
 */
#ifndef STREAMAGG_SIDE_H
#define STREAMAGG_SIDE_H

#include "define.h"

/* "_distinct", "_distinct_2", …: behind the view's name, from number 1. */
extern char *side_suffix(int number);

/*
 * Makes the side tables of a new aggregate, whose state is there, and gives the definition their names;
 * within SPI, as the stream's owner.  The view, once made, is tied to them by side_tie().
 */
extern void side_make(Request *request);
extern void side_tie(const Request *request);

/* The side tables of a state, by number, as a list of Oids in the current context. */
extern List *side_tables(Oid state);

/* Gives the definition the names of the state's.  Errors: elog when they are not as many. */
extern void side_load(Definition *definition, Oid state);

#endif
