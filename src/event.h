/*
 * event.h - the log of what happened to streams and aggregates.
 */
#ifndef STREAMAGG_EVENT_H
#define STREAMAGG_EVENT_H

/* Adds a row in the current transaction; the actor is the current user, or the process's name. */
extern void event_log(Oid stream, const char *event, const char *detail);

#endif
