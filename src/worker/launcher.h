/*
 * launcher.h - the one process a cluster that starts keepers.
 */
#ifndef STREAMAGG_LAUNCHER_H
#define STREAMAGG_LAUNCHER_H

/* From _PG_init. */
extern void launcher_register(void);

extern PGDLLEXPORT void streamagg_launcher_main(Datum argument);

#endif
