/*
 * value_reference.c: numbers and times read in the plainest way.
 *
 * Forms are regular expressions, digits are copied out and counted, days are counted year by
 * year.  No code of src/decode, and none of PostgreSQL.
 */
#include "value_reference.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS "[ \t\n\v\f\r]*"
#define MAX_GROUPS 12
#define DAY INT64_C(86400000000)

/* Compiles on first use; the groups are those of the whole text. */
static bool
matches(regex_t *compiled, const char *expression, const char *text, regmatch_t *groups)
{
	if (compiled->re_nsub == 0 && regcomp(compiled, expression, REG_EXTENDED) != 0)
		abort();
	return regexec(compiled, text, MAX_GROUPS, groups, 0) == 0;
}

static bool
is_number(const char *text, regmatch_t *groups)
{
	static regex_t form;

	return matches(&form, "^([+-]?)(([0-9]+)(\\.([0-9]*))?|(\\.)([0-9]+))([eE]([+-]?[0-9]+))?$",
				   text, groups);
}

/* The digits of a number without its point, malloc'd, and how many stand before the point. */
static char *
copy_digits(const char *text, const regmatch_t *groups, int64_t *whole)
{
	const regmatch_t *before = &groups[3];
	const regmatch_t *behind = groups[6].rm_so >= 0 ? &groups[7] : &groups[5];
	char *digits = calloc(strlen(text) + 1, 1);

	*whole = before->rm_so >= 0 ? before->rm_eo - before->rm_so : 0;
	if (*whole > 0)
		memcpy(digits, text + before->rm_so, *whole);
	if (behind->rm_so >= 0)
		strncat(digits, text + behind->rm_so, behind->rm_eo - behind->rm_so);
	return digits;
}

static int64_t
exponent_of(const char *text, const regmatch_t *groups)
{
	const int64_t limit = INT64_C(10000000000);
	int64_t exponent = groups[9].rm_so >= 0 ? strtoll(text + groups[9].rm_so, NULL, 10) : 0;

	return exponent > limit ? limit : exponent < -limit ? -limit : exponent;
}

bool
plain_shape(const char *text, PlainShape *shape)
{
	regmatch_t groups[MAX_GROUPS];
	int64_t whole;
	char *digits;
	size_t leading;
	size_t used;

	if (!is_number(text, groups))
		return false;
	digits = copy_digits(text, groups, &whole);
	leading = strspn(digits, "0");
	used = strlen(digits);
	memset(shape, 0, sizeof(*shape));
	shape->negative = text[0] == '-';
	shape->is_zero = leading == used;
	shape->exponent = exponent_of(text, groups);
	shape->scale = (int64_t) used - whole - shape->exponent;
	if (shape->scale < 0)
		shape->scale = 0;
	if (!shape->is_zero)
	{
		while (digits[used - 1] == '0')
			used--;
		shape->highest = whole - 1 - (int64_t) leading + shape->exponent;
		shape->lowest = whole - (int64_t) used + shape->exponent;
	}
	free(digits);
	return true;
}

/* The first "count" of the digits, zeros behind their end; count is at most 19. */
static __int128
leading_value(const char *digits, int64_t count)
{
	__int128 value = 0;

	for (int64_t i = 0; i < count; i++)
		value = value * 10 + (*digits != '\0' ? *digits++ - '0' : 0);
	return value;
}

static bool
rounds_up(const char *rest, bool odd)
{
	if (rest[0] < '5')
		return false;
	return rest[0] > '5' || strspn(rest + 1, "0") != strlen(rest + 1) || odd;
}

Reading
plain_scaled(const char *text, int shift, int64_t *value)
{
	regmatch_t groups[MAX_GROUPS];
	int64_t whole;
	char *digits;
	const char *first;
	__int128 found = 0;

	if (!is_number(text, groups))
		return READ_NO_FORM;
	digits = copy_digits(text, groups, &whole);
	first = digits + strspn(digits, "0");
	whole += exponent_of(text, groups) + shift - (first - digits);
	if (*first != '\0' && whole > 19)
		found = (__int128) INT64_MAX + 1;
	else if (*first != '\0' && whole >= 0)
	{
		const char *rest = (size_t) whole < strlen(first) ? first + whole : "";

		found = leading_value(first, whole);
		found += rounds_up(rest, found % 2 == 1);
	}
	free(digits);
	if (found > INT64_MAX)
		return READ_OUT_OF_RANGE;
	*value = (int64_t) (text[0] == '-' ? -found : found);
	return READ_VALUE;
}

Reading
plain_integer(const char *text, int64_t *value)
{
	static regex_t form;
	regmatch_t groups[MAX_GROUPS];
	__int128 found;

	if (!matches(&form, "^[+-]?0*([0-9]+)$", text, groups))
		return READ_NO_FORM;
	if (groups[1].rm_eo - groups[1].rm_so > 19)
		return READ_OUT_OF_RANGE;
	found = leading_value(text + groups[1].rm_so, groups[1].rm_eo - groups[1].rm_so);
	if (text[0] == '-')
		found = -found;
	if (found < INT64_MIN || found > INT64_MAX)
		return READ_OUT_OF_RANGE;
	*value = (int64_t) found;
	return READ_VALUE;
}

/* The digits of a group as a number, 0 for none. */
static int64_t
group_value(const char *text, const regmatch_t *group)
{
	int64_t value = 0;

	for (regoff_t i = group->rm_so; i >= 0 && i < group->rm_eo; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

static int
days_of_year(int64_t year)
{
	return 365 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

static int
days_of_month(int64_t year, int64_t month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && days_of_year(year) == 366);
}

/* From 2000-01-01: in steps of 400 years, which all have 146097 days, then of years and months. */
static int64_t
days_since_2000(int64_t year, int64_t month, int64_t day)
{
	int64_t days = day - 1;

	for (; year >= 2400; year -= 400)
		days += 146097;
	for (; year < 2000; year += 400)
		days -= 146097;
	while (--month >= 1)
		days += days_of_month(year, month);
	while (--year >= 2000)
		days += days_of_year(year);
	return days;
}

/* The fraction, point included, in microseconds to the nearest, halves to even. */
static int64_t
fraction_value(const char *text, const regmatch_t *group)
{
	char *copy;
	int64_t value = 0;

	if (group->rm_so < 0)
		return 0;
	copy = strndup(text + group->rm_so, group->rm_eo - group->rm_so);
	plain_scaled(copy, 6, &value);
	free(copy);
	return value;
}

Reading
plain_time(const char *text, int64_t *moment, int32_t *days)
{
	static regex_t form;
	regmatch_t groups[MAX_GROUPS];
	int64_t field[MAX_GROUPS];
	int64_t clock;
	int64_t shift;

	if (!matches(&form,
				 "^" BLANKS "([0-9]{4,6})-([0-9]{2})-([0-9]{2})"
				 "([Tt ]([0-9]{2}):([0-9]{2})(:([0-9]{2})(\\.[0-9]+)?)?" BLANKS
				 "([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?" BLANKS "$",
				 text, groups))
		return READ_NO_FORM;
	for (int i = 1; i < 9; i++)
		field[i] = i == 4 || i == 7 ? 0 : group_value(text, &groups[i]); /* those hold others */
	clock =
		((field[5] * 60 + field[6]) * 60 + field[8]) * 1000000 + fraction_value(text, &groups[9]);
	shift = 0;
	if (groups[10].rm_so >= 0 && strchr("Zz", text[groups[10].rm_so]) == NULL)
	{
		const char *zone = text + groups[10].rm_so;
		int hours = (zone[1] - '0') * 10 + (zone[2] - '0');
		int minutes = groups[11].rm_so >= 0 ? atoi(text + groups[11].rm_eo - 2) : 0;

		if (hours > 15 || minutes > 59)
			return READ_OUT_OF_RANGE;
		shift = (hours * 60 + minutes) * INT64_C(60000000) * (zone[0] == '-' ? -1 : 1);
	}
	if (field[1] < 1 || field[1] > 294276 || field[2] < 1 || field[2] > 12 || field[3] < 1 ||
		field[3] > days_of_month(field[1], field[2]) || field[6] > 59 || field[8] > 60 ||
		clock > DAY)
		return READ_OUT_OF_RANGE;
	*days = (int32_t) days_since_2000(field[1], field[2], field[3]);
	*moment = *days * DAY + clock - shift;
	return READ_VALUE;
}
