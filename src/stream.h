/*
 * stream.h - a stream as its foreign table defines it.
 */
#ifndef STREAMAGG_STREAM_H
#define STREAMAGG_STREAM_H

#include "access/attnum.h"
#include "nodes/pg_list.h"

#include "batch.h"
#include "decode/convert.h"
#include "options.h"
#include "protect.h"
#include "start_from.h"

typedef enum ColumnSource
{
	SOURCE_NONE, /* a dropped column */
	SOURCE_PATH,
	SOURCE_PARTITION,
	SOURCE_OFFSET,
	SOURCE_TIMESTAMP,
	SOURCE_KEY,
	SOURCE_TOPIC,
	SOURCE_HEADERS,
	SOURCE_HEADER, /* of one name */
	SOURCE_REST,
	SOURCE_RAW
} ColumnSource;

typedef struct StreamColumn
{
	char *name;
	ColumnSource source;
	List *path;	  /* keys, C strings; NIL: the document */
	int value;	  /* index of the JSON value of a path */
	char *header; /* its name */
	Oid type;
	bool not_null;
	bool unread; /* by aggregates and CHECKs: values are judged, and not kept */
	Batch *batch;
	Conversion conversion;
	Protection protection;
} StreamColumn;

typedef struct Stream
{
	MemoryContext context;
	Oid relid;
	Oid owner;
	Oid server;
	char *name;	 /* quoted and qualified where needed, for messages */
	char *topic; /* NULL: none */
	bool local;
	StartFrom start_from;
	bool skips_lost; /* on_data_loss 'skip' */
	int natts;
	StreamColumn *columns;
	AttrNumber event_time;
	int64 watermark_delay; /* microseconds, all of these */
	int64 idle_timeout;
	int64 close_after;
	int64 max_future;
	int64 batch_interval;
	int64 max_message_bytes;
	double max_bad_ratio;
	OptionPolicy on_decode_error;
	OptionPolicy on_violation;
	bool has_headers; /* some column is made of them */
	bool archived;
	bool keeps_rest;	  /* the archive has what no column holds */
	AttrNumber dedup_key; /* 0: none */
	int64 dedup_within;	  /* negative: for ever */
	JsonReader *reader;
	JsonValue *values;
	int nvalues;
	DigestKey *quarantine_key; /* NULL until key_load() */
	Batch *batch;
	struct StreamCheck *check; /* see check.h */
} Stream;

/* True for a foreign table of our wrapper. */
extern bool stream_is_stream(Oid relid);
/* Raises 42809 with a hint for any other relation. */
extern void stream_require(Oid relid);
/* Raises 42501 unless the current user is a member of the stream's owner. */
extern void stream_require_owner(Oid relid);

/* The same, or a member of streamagg_operator: for start, stop and wait_for. */
extern void stream_require_control(Oid relid);
/* Or of streamagg_reader: for functions that show what the views could. */
extern void stream_require_reader(Oid relid);

/*
 * Loads the definition into a context of its own under parent; stream_free deletes it.  Errors:
 * 42809 for another relation, HV00x for a definition that its table does not bear out.
 */
extern Stream *stream_load(Oid relid, MemoryContext parent);
extern void stream_free(Stream *stream);

/* The options that only a stopped stream may change, as one text, palloc'd. */
extern char *stream_fixed_options(Oid relid);
/* The path that a column of this name has when none is given, palloc'd. */
extern char *stream_default_path(const char *column);
/* An option of the table, or the fallback. */
extern const char *stream_option(Oid relid, const char *name, const char *fallback);

/* watermark_delay as it is in force, in microseconds. */
extern int64 stream_watermark_delay(Oid relid);
/* The watermark of a maximum event time: DT_NOBEGIN before the first. */
extern TimestampTz stream_watermark(TimestampTz highest, int64 delay);

/* A server without bootstrap_servers. */
extern bool stream_server_is_local(Oid server);
extern char *stream_name(Oid relid);
extern Oid stream_owner(Oid relid);

#endif
