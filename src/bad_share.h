/*
 * bad_share.h - max_bad_ratio: when so much of a topic is bad that reading on helps nobody.
 */
#ifndef STREAMAGG_BAD_SHARE_H
#define STREAMAGG_BAD_SHARE_H

#include "progress.h"
#include "stream.h"

/* Records since somewhere before; the older the less they count.  Zero at the start. */
typedef struct BadShare
{
	int64 read;
	int64 bad;
} BadShare;

/*
 * Adds a batch; raises 22000 when more than max_bad_ratio of the records are bad, of at least 100,
 * so that a bad one among the first few is not taken for all.
 */
extern void bad_share_add(BadShare *share, const Stream *stream, const Counters *batch);

#endif
