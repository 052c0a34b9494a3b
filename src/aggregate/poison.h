/*
 * poison.h - the rows on which an aggregate fails.
 */
#ifndef STREAMAGG_POISON_H
#define STREAMAGG_POISON_H

#include "run.h"

/*
 * After the aggregate has failed over the batch with an error of class data: which rows it fails on
 * when they stand alone; where none does, the first that fails behind those before it.  Inside a
 * guard; leaves nothing written.  Returns an array, in the current context, of a SQLSTATE for each
 * row, 0 for the good ones.  Errors, without values: the SQLSTATE itself when every row of several
 * fails, unless all_may_fail, or too many only behind others, and 22003 when a group's value would
 * overflow, which is no row's fault.
 */
extern int *
poison_find(Aggregate *aggregate, Oid stream, const Batch *batch, int code, bool all_may_fail);

#endif
