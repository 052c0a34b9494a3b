/*
 * connection.h - whether the properties of a worker's connection have changed.
 */
#ifndef STREAMAGG_CONNECTION_H
#define STREAMAGG_CONNECTION_H

/* Once, inside the transaction that reads the properties. */
extern void connection_watch(Oid server, Oid user);

/* The server or a user mapping has been altered since. */
extern bool connection_changed(void);

#endif
