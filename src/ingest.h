/*
 * ingest.h - one batch: records in, rows aggregated, progress written.
 */
#ifndef STREAMAGG_INGEST_H
#define STREAMAGG_INGEST_H

#include "nodes/pg_list.h"

#include "lateness.h"
#include "progress.h"
#include "quarantine.h"
#include "record.h"

typedef struct Ingest
{
	Stream *stream;
	struct Ingest *outer; /* that waits for this one */
	List *aggregates;	  /* see aggregate/run.h; the caller sets them before ingest_finish */
	Progress *progress;
	Quarantine *quarantine;
	MemoryContext scratch; /* of one refused record */
	bool again;			   /* its records come from quarantine: see ingest_record_again */
	Counters total;
	int64 late;				 /* rows late for every window of some aggregate */
	int poisoned;			 /* rows that an aggregate failed on */
	struct Archive *archive; /* the caller sets it as the aggregates; NULL: none */
	struct Dedup *dedup;	 /* NULL: no dedup_key */
	Lateness lateness;
	BatchTimes times;
	TimestampTz next_hook; /* when a hook is to be tried again; infinity: never */
} Ingest;

/*
 * All of these run in one transaction, as the stream's owner, with the safe search_path, in a
 * memory context that lives until its end.  An error leaves nothing behind but the rollback.
 */
extern Ingest *ingest_begin(Stream *stream);

/*
 * Runs feed, which calls the two below for each record; their values must stay until ingest_finish.
 */
typedef void (*IngestFeed)(Ingest *ingest, void *argument);
extern void ingest_feed(Ingest *ingest, IngestFeed feed, void *argument);

/*
 * The next record of its partition.  One that was read before is left out; offsets that are missing
 * between are gaps.  Errors: the record's own SQLSTATE when a policy says stop.
 */
extern void ingest_record(Ingest *ingest, const Record *record);

/*
 * A record of the stream's quarantine, read once more, in a batch that is marked so from its beginning
 * and has no others: judged as a new one, at the watermark that it meets now; no offset moves.  It is
 * counted where it belongs now, and what is bad again stays in quarantine, whatever the policies.
 */
extern void ingest_record_again(Ingest *ingest, const Record *record);

/* The partition is read up to this offset, whatever was before it: markers, aborted records. */
extern void ingest_reach(Ingest *ingest, int32 partition, int64 next_offset);

/*
 * Aggregates the rows and writes everything; returns the closing watermark.  close_all: see
 * progress_closing.
 */
extern TimestampTz ingest_finish(Ingest *ingest, bool close_all);

/*
 * All of a batch, outside a worker: the stream's aggregates and archive as they are behind the lock that
 * batches queue on.  again: of records from quarantine.
 */
extern Ingest *ingest_whole(Stream *stream, bool again, IngestFeed feed, void *argument);

/*
 * Once aggregates or constraints have changed: values that nobody reads are not kept, digests of them
 * not made.  Whether a value is accepted does not depend on it.
 */
extern void ingest_plan(Stream *stream, const List *aggregates);

/* After an error, where the process goes on: the batch is over. */
extern void ingest_leave(Ingest *ingest);

#endif
