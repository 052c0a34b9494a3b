/*
 * crash_on.c - a function that kills its process for a certain value, as a bug in somebody's C code would.
 * Compiled by 151_crash_record.pl; crash_on(value, bad) is true for every other value.
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "fmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(crash_on);

Datum
crash_on(PG_FUNCTION_ARGS)
{
	if (PG_GETARG_INT32(0) == PG_GETARG_INT32(1))
		kill(getpid(), SIGKILL);
	PG_RETURN_BOOL(true);
}
