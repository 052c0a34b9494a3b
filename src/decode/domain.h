/*
 * domain.h - the constraints of a domain.
 */
#ifndef STREAMAGG_DOMAIN_H
#define STREAMAGG_DOMAIN_H

typedef struct Domain Domain;

/* In the current context, which keeps it.  The constraints are followed when they are altered. */
extern Domain *domain_create(Oid type);

/* After an error of its expressions: what they kept for the next call is not to be trusted. */
extern void domain_renew(Domain *domain);

/* False now and here: nothing to check. */
extern bool domain_has_constraints(Domain *domain);

/* 0, 23502 or 23514.  Errors of a CHECK's own expression are raised. */
extern int domain_judge(Domain *domain, Datum value, bool isnull);

#endif
