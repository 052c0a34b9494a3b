/*
 * json_verdict.h: the strict, slow scanner that names a document's first fault.
 * Called by json.cc for what its fast walk refuses, and by the tests as its judge.
 */
#ifndef STREAMAGG_JSON_VERDICT_H
#define STREAMAGG_JSON_VERDICT_H

#include "json.h"

/* Levels of objects and arrays; one more is JSON_TOO_DEEP. */
#define JSON_MAX_DEPTH 512

#define JSON_BOM "\xEF\xBB\xBF"
#define JSON_BOM_LENGTH 3

#ifdef __cplusplus
extern "C"
{
#endif

	/* Needs no padding behind data and allocates nothing; never JSON_NO_MEMORY. */
	extern JsonVerdict json_verdict(const char *data, size_t length);

#ifdef __cplusplus
}
#endif

#endif
