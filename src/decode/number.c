/*
 * number.c - exact readers of decimal text.  No detour by double, no errors raised, no memory.
 */
#include "postgres.h"

#include "common/int.h"

#include "number.h"

#define SAFE_DIGITS 18 /* of an int64, whatever they are */
#define EXPONENT_LIMIT INT64CONST(10000000000)

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The exponent behind e, cut at a limit far beyond every type; false for no exponent. */
static bool
read_exponent(const char *at, const char *end, int64 *exponent)
{
	bool negative = false;

	if (at < end && (*at == '-' || *at == '+'))
		negative = *at++ == '-';
	if (at == end)
		return false;
	for (*exponent = 0; at < end; at++)
	{
		if (!is_digit(*at))
			return false;
		if (*exponent < EXPONENT_LIMIT)
			*exponent = *exponent * 10 + (*at - '0');
	}
	*exponent = Min(*exponent, EXPONENT_LIMIT);
	if (negative)
		*exponent = -*exponent;
	return true;
}

bool
number_shape(const char *text, size_t length, NumberShape *shape)
{
	const char *at = text;
	const char *end = text + length;
	const char *point = NULL;
	const char *first = NULL;
	const char *last = NULL;
	const char *digits_end;
	int64 exponent = 0;
	int64 whole;
	int ndigits = 0;

	shape->negative = at < end && *at == '-';
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	text = at;
	for (; at < end && (is_digit(*at) || (*at == '.' && !point)); at++)
	{
		if (*at == '.')
		{
			point = at;
			continue;
		}
		ndigits++;
		if (*at != '0')
		{
			last = at;
			first = first ? first : at;
		}
	}
	digits_end = at;
	if (ndigits == 0)
		return false;
	if (at < end && ((*at != 'e' && *at != 'E') || !read_exponent(at + 1, end, &exponent)))
		return false;
	shape->exponent = exponent;
	shape->is_zero = first == NULL;
	whole = (point ? point : digits_end) - text; /* digits before the point */
	shape->scale = Max((point ? digits_end - point - 1 : 0) - exponent, 0);
	shape->highest = shape->lowest = 0;
	if (first)
	{
		shape->highest = whole - (first - text) - (point && first > point ? 0 : 1) + exponent;
		shape->lowest = whole - (last - text) - (point && last > point ? 0 : 1) + exponent;
	}
	return true;
}

NumberResult
number_to_int64(const char *text, size_t length, int64 *value)
{
	const char *at = text;
	const char *end = text + length;
	bool negative = at < end && *at == '-';
	bool overflow = false;
	int64 found = 0;

	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return NUMBER_SYNTAX;
	for (; at < end; at++)
	{
		if (!is_digit(*at))
			return NUMBER_SYNTAX;
		/* downwards, as the minimum has no positive twin */
		if (pg_mul_s64_overflow(found, 10, &found) || pg_sub_s64_overflow(found, *at - '0', &found))
			overflow = true;
	}
	if (overflow || (!negative && found == PG_INT64_MIN))
		return NUMBER_RANGE;
	*value = negative ? found : -found;
	return NUMBER_OK;
}

/* Whether the digits below the unit round the even-or-odd value below them up. */
static bool
rounds_up(const NumberShape *shape, int dropped_first, bool odd)
{
	if (dropped_first != 5)
		return dropped_first > 5;
	return shape->lowest < -1 || odd;
}

/* Digits alone that cannot overflow, as most times are written; false for any other form. */
static bool
scale_short(const char *text, size_t length, int shift, int64 *value)
{
	static const int64 powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
	int64 found = 0;

	if (length == 0 || shift < 0 || shift >= (int) lengthof(powers) || length + shift > SAFE_DIGITS)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (!is_digit(text[i]))
			return false;
		found = found * 10 + (text[i] - '0');
	}
	*value = found * powers[shift];
	return true;
}

NumberResult
number_scaled(const char *text, size_t length, int shift, int64 *value)
{
	NumberShape shape;
	int64 found = 0;
	int64 power;
	int dropped_first = 0;

	if (scale_short(text, length, shift, value))
		return NUMBER_OK;
	if (!number_shape(text, length, &shape))
		return NUMBER_SYNTAX;
	shape.highest += shift;
	shape.lowest += shift;
	if (shape.is_zero || shape.highest < -1)
	{
		*value = 0;
		return NUMBER_OK;
	}
	if (shape.highest > 18)
		return NUMBER_RANGE;
	while (!is_digit(*text) || *text == '0') /* to the first digit that counts */
		text++;
	for (power = shape.highest; power >= -1; text++)
	{
		int digit;

		if (*text == '.')
			continue;
		digit = power >= shape.lowest ? *text - '0' : 0;
		if (power == -1)
			dropped_first = digit;
		else if (pg_mul_s64_overflow(found, 10, &found) ||
				 pg_add_s64_overflow(found, digit, &found))
			return NUMBER_RANGE;
		if (power <= shape.lowest)
			text--; /* the rest are zeros that may not be written */
		power--;
	}
	if (rounds_up(&shape, dropped_first, found % 2 != 0) && pg_add_s64_overflow(found, 1, &found))
		return NUMBER_RANGE;
	*value = shape.negative ? -found : found;
	return NUMBER_OK;
}
