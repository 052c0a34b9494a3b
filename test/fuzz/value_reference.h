/*
 * value_reference.h: numbers and times read in the plainest way, to hold src/decode against.
 */
#ifndef VALUE_REFERENCE_H
#define VALUE_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum Reading
{
	READ_VALUE,
	READ_NO_FORM,
	READ_OUT_OF_RANGE
} Reading;

/* Powers of ten as in number.h; exponent is as it is written, cut at ten billion. */
typedef struct PlainShape
{
	bool negative;
	bool is_zero;
	int64_t highest;
	int64_t lowest;
	int64_t scale;
	int64_t exponent;
} PlainShape;

/* All texts end with NUL and have none inside. */
extern bool plain_shape(const char *text, PlainShape *shape);
extern Reading plain_integer(const char *text, int64_t *value);
extern Reading plain_scaled(const char *text, int shift, int64_t *value);

/* Microseconds since 2000-01-01 UTC, and the days alone; no word is one. */
extern Reading plain_time(const char *text, int64_t *moment, int32_t *days);

#endif
