/*
 * archive.h - the table of every accepted row of a stream, protected as the row is.
 */
#ifndef STREAMAGG_ARCHIVE_H
#define STREAMAGG_ARCHIVE_H

#include "datatype/timestamp.h"

#include "stream.h"

typedef struct Archive Archive;

/* The stream's archive, whether it is filled now or not; InvalidOid without one. */
extern Oid archive_of(Oid stream);
/* Whether its option archive says on. */
extern bool archive_is_on(Oid stream);
/* The name of the archive's column of what no column holds, palloc'd. */
extern char *archive_rest_column(Oid archive);

/*
 * Where the option is on: makes the archive, or completes it (columns, triggers), as the stream's
 * owner.  Errors: 42P07 for another relation of its name, 42701 for a column of the stream that has
 * one of its own names, 42804 for a column whose type differs, 42501 for another owner.
 */
extern void archive_prepare(Oid stream);
/* The same for a batch, which makes the day that it needs; returns the archive. */
extern Oid archive_complete(Oid stream);
/* A column of the stream was renamed. */
extern void archive_rename_column(Oid stream, const char *from, const char *to);
/* Whether something of a document may be in no column. */
extern bool archive_keeps_rest(const Stream *stream);

/* The partition of the day of this time, made if need be, as the stream's owner.  archive_day.c */
extern void archive_ensure_day(Oid archive, TimestampTz at);

/* For batches, in the current context; NULL while the option is off.  archive_write.c */
extern Archive *archive_load(const Stream *stream);
extern void archive_free(Archive *archive);
/* Whether this relation is it. */
extern bool archive_is(const Archive *archive, Oid relid);
/* Adds the rows of the stream's batch.  As ingest.h says of all steps. */
extern void archive_write(Archive *archive, const Stream *stream);

/* Nobody changes rows: triggers, and event triggers that keep them.  archive_guard.c */
extern void archive_add_trigger(Oid relation);
extern void archive_check_triggers(Oid relation);
extern void archive_check_dropped(void);
/* Whether it has the trigger. */
extern bool archive_is_day(Oid relation);
/* After DROP: of a stream, whose archive stays; of an archive. */
extern void archive_forget_stream(Oid stream);
extern void archive_forget(Oid archive, bool restoring);

/* Housekeeping of a local stream, by push(): tomorrow's day; wakes the keeper for old ones. */
extern void archive_tend_local(const Stream *stream);
/* The keeper's, outside a transaction, see worker/tend.c.  archive_tend.c */
extern void archive_tend(void);

#endif
