/*
 * wanted.h - which streams shall run; for the keeper.
 */
#ifndef STREAMAGG_WANTED_H
#define STREAMAGG_WANTED_H

/*
 * Reads what shall run, and claims and frees slots; in a transaction of its own.  has_worker: whether a
 * process that the keeper started for the slot has not ended.
 */
extern void wanted_look(bool (*has_worker)(int number));

/* Library and SQL objects are of two versions, by the last look: no worker runs. */
extern bool wanted_wait_for_update(void);

#endif
