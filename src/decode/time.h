/*
 * time.h - times as text to microseconds, without errors raised and whatever TimeZone says.
 */
#ifndef STREAMAGG_TIME_H
#define STREAMAGG_TIME_H

#include "datatype/timestamp.h"
#include "utils/date.h"

#include "encoding.h"

/* 1970-01-01 00:00 UTC, from which Kafka and epoch_* count, as a TimestampTz. */
#define TIME_UNIX_EPOCH ((UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

/* Both return 0 or the SQLSTATE of the fault: 22007 no time, 22008 out of range, 22P02 no number. */
extern int time_parse_iso(const char *text, size_t length, TimestampTz *value);
extern int
time_parse_epoch(const char *text, size_t length, ConvertEncoding unit, TimestampTz *value);

/* The date as it is written; a time and a zone behind it are judged and left out. */
extern int time_parse_date(const char *text, size_t length, DateADT *value);

#endif
