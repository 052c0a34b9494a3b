/*
 * bad_share.c - the share of records that were quarantined or dropped.
 *
 * push() asks for one call, a worker after each commit: the bad records of the batch that was too
 * much are in quarantine, to be looked at, when the stream has halted.
 */
#include "postgres.h"

#include "bad_share.h"
#include "streamagg.h"

#define AT_LEAST 100
#define REMEMBERED 10000

void
bad_share_add(BadShare *share, const Stream *stream, const Counters *batch)
{
	share->read += batch->read;
	share->bad += batch->quarantined + batch->dropped;
	if (share->bad > stream->max_bad_ratio * Max(share->read, AT_LEAST))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("stream \"%s\": " INT64_FORMAT " of the last " INT64_FORMAT
						" records are bad, more than max_bad_ratio %g",
						stream->name, share->bad, share->read, stream->max_bad_ratio),
				 errhint("streamagg.quarantine tells why. streamagg.start() goes on from here; "
						 "max_bad_ratio 1.0 never halts.")));
	if (share->read > REMEMBERED)
	{
		share->read /= 2;
		share->bad /= 2;
	}
}
