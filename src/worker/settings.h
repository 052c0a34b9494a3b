/*
 * settings.h - see settings.c.
 */
#ifndef STREAMAGG_SETTINGS_H
#define STREAMAGG_SETTINGS_H

/* After the connection, before the first transaction. */
extern void settings_apply(void);

/* Before the library's threads are there. */
extern void settings_share_heap(void);

/* When there is nothing to do: what many records needed goes back to the system. */
extern void settings_trim_heap(void);

#endif
