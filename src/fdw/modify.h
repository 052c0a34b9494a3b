/*
 * modify.h - INSERT into a stream.
 */
#ifndef STREAMAGG_FDW_MODIFY_H
#define STREAMAGG_FDW_MODIFY_H

#include "foreign/fdwapi.h"

/* Fills in the routines for INSERT and COPY, and those that refuse everything else. */
extern void modify_set_routines(FdwRoutine *routine);

#endif
