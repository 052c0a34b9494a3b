/*
 * utility.h - what must happen before some commands of the server.
 */
#ifndef STREAMAGG_UTILITY_H
#define STREAMAGG_UTILITY_H

/* From _PG_init. */
extern void utility_install_hook(void);

#endif
