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
} Record;

/* Why a record is not accepted; strings are constant or belong to the stream. */
typedef struct RecordFault
{
	const char *stage; /* decode, convert or check */
	int code;		   /* SQLSTATE */
	const char *column;
	const char *rule;
} RecordFault;

/* A Kafka timestamp in milliseconds since 1970; -1 is none. */
extern void record_set_time(Record *record, int64 milliseconds);

/*
 * Decodes, converts and checks a record that is no tombstone into a row of the stream's batch.
 * True: the row's values and event time are filled.  False: the fault is.
 */
extern bool record_to_row(Stream *stream, const Record *record, Datum *values, bool *isnull,
						  TimestampTz *event_time, RecordFault *fault);

/* The fault in words, without any value of the record; palloc'd. */
extern char *record_fault_reason(const RecordFault *fault);

#endif
