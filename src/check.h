/*
 * check.h - the hard rules of a row: NOT NULL and CHECK.
 */
#ifndef STREAMAGG_CHECK_H
#define STREAMAGG_CHECK_H

#include "nodes/bitmapset.h"
#include "utils/rel.h"

#include "stream.h"

typedef struct StreamCheck StreamCheck;

/* The first rule that a row breaks. */
typedef struct CheckFault
{
	int code;			/* SQLSTATE; 0: none */
	const char *column; /* NULL: several columns */
	const char *rule;	/* the constraint's name; NULL for NOT NULL of the event time */
} CheckFault;

/* Loads the constraints into the current context. */
extern StreamCheck *check_create(const Stream *stream, Relation rel);

/* The columns that constraints read, numbers from 1. */
extern Bitmapset *check_columns(const Stream *stream);

/*
 * Inside a guard: a batch's expression state, in the current context (which must outlive the batch's
 * rows); check_end frees what it holds.
 */
extern void check_begin(Stream *stream);
extern void check_end(Stream *stream);

/*
 * The first rule that the row breaks: NOT NULL of all columns, the event time's included, then the
 * CHECKs; one that fails to be evaluated counts as broken, with its SQLSTATE.  A fault's strings
 * belong to the stream.
 */
extern CheckFault check_row(Stream *stream, Datum *values, bool *isnull);

/*
 * All rules that the row breaks: their names (NOT NULL: column_not_null), and in *columns the numbers
 * of the columns that they read.  In the current context.
 */
extern List *check_all(Stream *stream, Datum *values, bool *isnull, Bitmapset **columns);

#endif
