/*
 * adopt.h - whether this database is the one that its streams ran in.
 */
#ifndef STREAMAGG_ADOPT_H
#define STREAMAGG_ADOPT_H

/* Raises 55000 in a restored or copied database, until somebody has called streamagg.adopt(). */
extern void adopt_require(void);

#endif
