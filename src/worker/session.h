/*
 * session.h - what a session's transaction will have changed when it is over.
 */
#ifndef STREAMAGG_SESSION_H
#define STREAMAGG_SESSION_H

#include "utils/timestamp.h"

/* The stream stays ended until this transaction is over. */
extern void session_hold(Oid stream);
/* start() was called for it in this transaction. */
extern void session_started(Oid stream);
extern bool session_has_started(Oid stream);
/* If the transaction commits, the stream's worker shall read anew where the stream stands. */
extern void session_renew(Oid stream);
/* At the end of the transaction the keeper shall look at the catalogue. */
extern void session_changed(void);
/* The same for its housekeeping alone. */
extern void session_wake_keeper(void);

/* A time-out; 22023 when it is negative or has months. */
extern int64 session_milliseconds(const Interval *interval);

#endif
