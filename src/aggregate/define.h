/*
 * define.h - the objects of an aggregate: making, dropping, freezing them.
 */
#ifndef STREAMAGG_DEFINE_H
#define STREAMAGG_DEFINE_H

/*
 * Called before DROP EXTENSION: cuts the ties that would take the state tables along with the
 * views.  NOTICE for each; runs in the caller's transaction.
 */
extern void define_keep_states(void);

/* Called after objects were dropped: forgets aggregates whose view is gone, freezes those whose
 * stream is. */
extern void define_forget_aggregate(Oid view);
extern void define_freeze_aggregates(Oid stream);
/* The same for those whose definition view is gone. */
extern void define_freeze_undefined(void);

/* Takes away, inside SPI, what default privileges gave others. */
extern void define_revoke_from_others(Oid relation);

/* How many aggregates a stream has. */
extern int define_count(Oid stream);

#endif
