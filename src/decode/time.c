/*
 * time.c - ISO 8601 and epoch times.
 *
 * ISO 8601 here: YYYY-MM-DD, then optionally T or a blank, HH:MM, :SS, a fraction, and Z or +HH,
 * +HHMM, +HH:MM.  Without a zone it is UTC.  24:00 and second 60 are as PostgreSQL takes them.
 * Words that read the clock are no times: the same record gives the same value always.
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "number.h"
#include "time.h"

#define MAX_YEAR 294276	 /* of timestamptz */
#define MAX_ZONE_HOUR 15 /* either way */

typedef struct Scanner
{
	const char *at;
	const char *end;
} Scanner;

typedef struct TimeParts
{
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
	int64 fraction; /* microseconds */
	int zone_sign;	/* 1 is east of UTC, 0 no zone */
	int zone_hour;
	int zone_minute;
} TimeParts;

static inline bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static Scanner
trimmed(const char *text, size_t length)
{
	Scanner scan = {text, text + length};

	while (scan.at < scan.end && is_blank(*scan.at))
		scan.at++;
	while (scan.end > scan.at && is_blank(scan.end[-1]))
		scan.end--;
	return scan;
}

/* Between min and max digits as a number; -1 for fewer. */
static int
take_digits(Scanner *scan, int min, int max)
{
	int value = 0;
	int count = 0;

	for (; count < max && scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; count++)
		value = value * 10 + (*scan->at++ - '0');
	return count >= min ? value : -1;
}

static bool
take(Scanner *scan, char expected)
{
	if (scan->at == scan->end || *scan->at != expected)
		return false;
	scan->at++;
	return true;
}

/* The fraction's digits behind the point, to the nearest microsecond, halves to even. */
static bool
take_fraction(Scanner *scan, int64 *fraction)
{
	const char *start = scan->at - 1;

	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return number_scaled(start, scan->at - start, 6, fraction) == NUMBER_OK;
}

static bool
take_zone(Scanner *scan, TimeParts *parts)
{
	while (scan->at < scan->end && is_blank(*scan->at))
		scan->at++;
	if (scan->at == scan->end || take(scan, 'Z') || take(scan, 'z'))
		return true;
	parts->zone_sign = take(scan, '+') ? 1 : take(scan, '-') ? -1 : 0;
	parts->zone_hour = take_digits(scan, 2, 2);
	if (parts->zone_sign == 0 || parts->zone_hour < 0)
		return false;
	if (scan->at < scan->end)
	{
		(void) take(scan, ':');
		parts->zone_minute = take_digits(scan, 2, 2);
	}
	return parts->zone_minute >= 0;
}

static bool
take_clock(Scanner *scan, TimeParts *parts)
{
	parts->hour = take_digits(scan, 2, 2);
	if (parts->hour < 0 || !take(scan, ':'))
		return false;
	parts->minute = take_digits(scan, 2, 2);
	if (parts->minute < 0)
		return false;
	if (take(scan, ':'))
	{
		parts->second = take_digits(scan, 2, 2);
		if (parts->second < 0 || (take(scan, '.') && !take_fraction(scan, &parts->fraction)))
			return false;
	}
	return take_zone(scan, parts);
}

/* The whole text as parts; false when it does not have the form of a time. */
static bool
take_time(Scanner *scan, TimeParts *parts)
{
	memset(parts, 0, sizeof(*parts));
	parts->year = take_digits(scan, 4, 6);
	if (parts->year < 0 || !take(scan, '-'))
		return false;
	parts->month = take_digits(scan, 2, 2);
	if (parts->month < 0 || !take(scan, '-'))
		return false;
	parts->day = take_digits(scan, 2, 2);
	if (parts->day < 0)
		return false;
	if (scan->at == scan->end)
		return true;
	if (!take(scan, 'T') && !take(scan, 't') && !take(scan, ' '))
		return false;
	return take_clock(scan, parts) && scan->at == scan->end;
}

static int
judge_parts(const TimeParts *parts, int64 *clock)
{
	*clock = parts->hour * USECS_PER_HOUR + parts->minute * USECS_PER_MINUTE +
			 parts->second * USECS_PER_SEC + parts->fraction;
	if (parts->year < 1 || parts->year > MAX_YEAR || parts->month < 1 || parts->month > 12 ||
		parts->day < 1 || parts->day > day_tab[isleap(parts->year)][parts->month - 1] ||
		parts->minute > 59 || parts->second > 60 || *clock > USECS_PER_DAY ||
		parts->zone_hour > MAX_ZONE_HOUR || parts->zone_minute > 59)
		return ERRCODE_DATETIME_FIELD_OVERFLOW;
	return 0;
}

static int
parse_parts(const char *text, size_t length, TimeParts *parts, int64 *clock)
{
	Scanner scan = trimmed(text, length);

	return take_time(&scan, parts) ? judge_parts(parts, clock) : ERRCODE_INVALID_DATETIME_FORMAT;
}

/* Microseconds east of UTC. */
static int64
zone_shift(const TimeParts *parts)
{
	return parts->zone_sign *
		   (parts->zone_hour * USECS_PER_HOUR + parts->zone_minute * USECS_PER_MINUTE);
}

/* 1 for the word infinity, -1 for -infinity, else 0. */
static int
infinity_sign(const char *text, size_t length)
{
	Scanner scan = trimmed(text, length);

	length = scan.end - scan.at;
	if (length == 8 && pg_strncasecmp(scan.at, "infinity", 8) == 0)
		return 1;
	return length == 9 && pg_strncasecmp(scan.at, "-infinity", 9) == 0 ? -1 : 0;
}

/* Microseconds since 2000-01-01 UTC; the words infinity and -infinity, too. */
int
time_parse_iso(const char *text, size_t length, TimestampTz *value)
{
	TimeParts parts;
	int64 clock;
	int sign = infinity_sign(text, length);
	int fault;

	*value = sign > 0 ? DT_NOEND : DT_NOBEGIN;
	if (sign)
		return 0;
	fault = parse_parts(text, length, &parts, &clock);
	if (fault)
		return fault;
	/* at most six digits of year: far from overflow before the range is judged */
	*value = (date2j(parts.year, parts.month, parts.day) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY +
			 clock - zone_shift(&parts);
	return IS_VALID_TIMESTAMP(*value) ? 0 : ERRCODE_DATETIME_FIELD_OVERFLOW;
}

int
time_parse_date(const char *text, size_t length, DateADT *value)
{
	TimeParts parts;
	int64 clock;
	int sign = infinity_sign(text, length);
	int fault;

	*value = sign > 0 ? DATEVAL_NOEND : DATEVAL_NOBEGIN;
	if (sign)
		return 0;
	fault = parse_parts(text, length, &parts, &clock);
	if (fault)
		return fault;
	*value = date2j(parts.year, parts.month, parts.day) - POSTGRES_EPOCH_JDATE;
	return IS_VALID_DATE(*value) ? 0 : ERRCODE_DATETIME_FIELD_OVERFLOW;
}

/* A decimal number of seconds, milliseconds or microseconds since 1970-01-01 UTC. */
int
time_parse_epoch(const char *text, size_t length, ConvertEncoding unit, TimestampTz *value)
{
	Scanner scan = trimmed(text, length);
	int shift = unit == ENCODING_EPOCH_S ? 6 : unit == ENCODING_EPOCH_MS ? 3 : 0;

	switch (number_scaled(scan.at, scan.end - scan.at, shift, value))
	{
		case NUMBER_SYNTAX:
			return ERRCODE_INVALID_TEXT_REPRESENTATION;
		case NUMBER_RANGE:
			return ERRCODE_DATETIME_FIELD_OVERFLOW;
		case NUMBER_OK:
			break;
	}
	if (*value < PG_INT64_MIN - TIME_UNIX_EPOCH)
		return ERRCODE_DATETIME_FIELD_OVERFLOW;
	*value += TIME_UNIX_EPOCH;
	return IS_VALID_TIMESTAMP(*value) ? 0 : ERRCODE_DATETIME_FIELD_OVERFLOW;
}
