/*
 * fuzz.h: what the fuzz targets and their replay share.  Needs neither PostgreSQL nor a fuzzer.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A target: judges one input, ends the process when something does not hold. */
extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert, whatever NDEBUG says; dprintf because PostgreSQL's headers redefine the others. */
#define REQUIRE(condition)                                                                         \
	do                                                                                             \
	{                                                                                              \
		if (!(condition))                                                                          \
		{                                                                                          \
			dprintf(2, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                     \
			abort();                                                                               \
		}                                                                                          \
	} while (0)

#endif
