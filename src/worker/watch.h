/*
 * watch.h - the keeper's eye on the definitions that its streams depend on.
 */
#ifndef STREAMAGG_WATCH_H
#define STREAMAGG_WATCH_H

/* Once, in a keeper. */
extern void watch_begin(void);

/* Inside a transaction: what the streams that shall run depend on, halted ones included. */
extern void watch_load(const char *identity);

/* Somebody has done something that may help any stream: they are tried again, but not too often. */
extern void watch_touch(void);

/* A worker is about to start: what has changed until now, it will see. */
extern void watch_started(Oid stream);

/*
 * Streams that wait and whose definitions have changed run again at once: halts are lifted, in a
 * transaction of its own, pauses cut short.  True when there is something to start.
 */
extern bool watch_act(void);

/* Some stream waits for a change: changes must be looked for every second. */
extern bool watch_is_needed(void);
/* Some halted stream does: the keeper must stay. */
extern bool watch_holds_keeper(void);

#endif
