/*
 * keeper.h - the process of a database that keeps its streams running.
 */
#ifndef STREAMAGG_KEEPER_H
#define STREAMAGG_KEEPER_H

extern PGDLLEXPORT void streamagg_keeper_main(Datum database);

#endif
