/*
 * record.h - one Kafka record, and what becomes of it.
 */
#ifndef STREAMAGG_RECORD_H
#define STREAMAGG_RECORD_H

#include "stream.h"

typedef enum RecordTime
{
	RECORD_TIME_NONE,
	RECORD_TIME_VALID,
	RECORD_TIME_OUT_OF_RANGE
} RecordTime;

typedef struct RecordHeader
{
	const char *name;
	const char *value; /* NULL: none */
	size_t length;
} RecordHeader;

typedef struct Record
{
	int32 partition;
	int64 offset;
	const char *value; /* NULL: a tombstone */
	size_t length;
	const char *key; /* NULL: none */
	size_t key_length;
	RecordTime has_time;
	TimestampTz time;
	const RecordHeader *headers; /* only where a column is made of them; stream->has_headers */
	int nheaders;
} Record;

/* Why a record is not accepted; strings are constant or belong to the stream. */
typedef struct RecordFault
{
	const char *stage; /* decode, convert, protect, check or aggregate */
	int code;		   /* SQLSTATE */
	const char *column;
	const char *rule;
	const char *aggregate; /* that fails on the row */
} RecordFault;

/* A Kafka timestamp in milliseconds since 1970; -1 is none. */
extern void record_set_time(Record *record, int64 milliseconds);

/*
 * Decodes, converts, protects and checks a record that is no tombstone into a row of the stream's
 * batch; inside a guard.  True: the row's values and event time are filled.  False: the fault is.
 */
extern bool record_to_row(Stream *stream, const Record *record, Datum *values, bool *isnull,
						  TimestampTz *event_time, RecordFault *fault);

/*
 * What a refused record may be shown as, from the values that record_to_row left: jsonb, never a
 * value that is protected, undeclared or at fault.  Its broken rules go to *rules, as C strings.
 * In the current context.
 */
extern Datum record_redact(Stream *stream, const Record *record, const RecordFault *fault,
						   Datum *values, bool *isnull, List **rules);

/* The fault in words, without any value of the record; palloc'd. */
extern char *record_fault_reason(const RecordFault *fault);

#endif
