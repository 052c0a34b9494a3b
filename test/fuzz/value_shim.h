/*
 * value_shim.h: PostgreSQL's functions that src/decode calls, for programs without a server.
 */
#ifndef VALUE_SHIM_H
#define VALUE_SHIM_H

/* Frees all that was palloc'd. */
extern void shim_reset(void);

#endif
