/*
 * memo.h - short values that were found good, so that the next of the same bytes need no look.
 */
#ifndef STREAMAGG_MEMO_H
#define STREAMAGG_MEMO_H

typedef struct Memo Memo;

/* For Datums of a type of this length, by value or not; in the current context. */
extern Memo *memo_create(int16 length, bool by_value);

extern void memo_forget(Memo *memo);

/* Whether a value of the same bytes was kept and not yet displaced. */
extern bool memo_has(const Memo *memo, Datum value);

/* Longer values than a slot holds are not kept. */
extern void memo_keep(Memo *memo, Datum value);

#endif
