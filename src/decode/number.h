/*
 * number.h - decimal numbers as text: their shape, and exact integers from them, without errors
 * raised.
 */
#ifndef STREAMAGG_NUMBER_H
#define STREAMAGG_NUMBER_H

/* What a decimal number looks like, its value untouched. */
typedef struct NumberShape
{
	bool negative;
	bool is_zero;
	int64 highest;	/* power of ten of the first digit that is not 0 */
	int64 lowest;	/* power of ten of the last digit that is not 0 */
	int64 scale;	/* digits after the point as numeric shows them */
	int64 exponent; /* as it is written, cut at ten billion */
} NumberShape;

/* [+-]digits[.digits][e[+-]digits] without blanks; false for anything else. */
extern bool number_shape(const char *text, size_t length, NumberShape *shape);

/* True for a whole number without point and exponent, with an optional sign. */
typedef enum NumberResult
{
	NUMBER_OK,
	NUMBER_SYNTAX,
	NUMBER_RANGE
} NumberResult;

extern NumberResult number_to_int64(const char *text, size_t length, int64 *value);

/* text × 10^shift to the nearest integer, halves to even. */
extern NumberResult number_scaled(const char *text, size_t length, int shift, int64 *value);

#endif
