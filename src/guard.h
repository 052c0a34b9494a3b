/*
 * guard.h - runs what a record may make fail, and goes on.
 */
#ifndef STREAMAGG_GUARD_H
#define STREAMAGG_GUARD_H

typedef void (*GuardStep)(void *argument);

/*
 * Runs the body inside a subtransaction of its own, released at its end.  An error rolls it back and
 * is raised again.
 */
extern void guard_run(GuardStep body, void *argument);

/*
 * The same, but the error, copied into the current context, is the result; NULL: it went well.  For what
 * is no part of a feed or an aggregation.
 */
extern struct ErrorData *guard_catch(GuardStep body, void *argument);

/*
 * Inside a body: runs a step whose errors, where is_fault says so of their SQLSTATE, count as its
 * result.  Returns 0, or that SQLSTATE: then all that the body wrote so far is undone (memory stays)
 * and the error's text is forgotten, since it may quote values.  Other errors are raised.
 */
extern int guard_try(GuardStep step, void *argument, bool (*is_fault)(int code));

/* Inside a body: undoes all that it wrote so far. */
extern void guard_undo(void);

/* Changes whenever something was undone: what was made before may hold what is gone. */
extern uint64 guard_generation(void);

#endif
