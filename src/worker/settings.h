/*
 * settings.h - see settings.c.
 */
#ifndef STREAMAGG_SETTINGS_H
#define STREAMAGG_SETTINGS_H

/*
 * A batch that waits for a lock holds others, and old row versions: it gives up, says so, and comes
 * again after a pause.
 */
#define SETTINGS_LOCK_TIMEOUT "20s"

/* After the connection, before the first transaction. */
extern void settings_apply(void);

/* Before the library's threads are there. */
extern void settings_share_heap(void);

/* When there is nothing to do: what many records needed goes back to the system. */
extern void settings_trim_heap(void);

#endif
