/*
 * target.h - whether a state table is what was made.
 */
#ifndef STREAMAGG_TARGET_H
#define STREAMAGG_TARGET_H

/*
 * Raises 42501 for a state table that does not belong to the current user, the stream's owner, or
 * whose row-level security applies to it, and 55000 for one that is no plain table or has rewrite
 * rules.
 */
extern void target_check(Oid state, const char *aggregate);

#endif
