/*
 * options.h - the options of foreign tables and columns: names, checks, values.
 */
#ifndef STREAMAGG_OPTIONS_H
#define STREAMAGG_OPTIONS_H

#include "nodes/pg_list.h"
#include "lib/stringinfo.h"

typedef enum OptionPolicy
{
	POLICY_QUARANTINE,
	POLICY_DROP,
	POLICY_STOP
} OptionPolicy;

/* What becomes of an option's value: NULL when it is fine, else an error's detail, palloc'd. */
typedef const char *(*OptionCheck)(const char *value);

typedef struct OptionSpec
{
	const char *name;
	OptionCheck check; /* NULL: any text */
	const char *later; /* the option or value is of a later version: why it is refused */
	bool fixed;		   /* needs a stopped stream to change */
} OptionSpec;

extern const OptionSpec table_options[];
extern const OptionSpec column_options[];

/*
 * Checks one option against a table of specs that ends with a NULL name.  Errors: HV00D with the
 * valid names and the nearest as hint, HV024 for a bad value, 0A000 for what is not built yet.
 */
extern void options_check(const OptionSpec *specs, const char *name, const char *value);
extern void options_raise_unknown(const char *name, const char *const *valid, int count)
	pg_attribute_noreturn();

/* The value of an option in a list of DefElems, or the default. */
extern const char *options_get(List *options, const char *name, const char *fallback);

/* '30 seconds' to microseconds; a day is 24 hours.  False for no interval, months, negatives. */
extern bool options_parse_duration(const char *value, int64 *microseconds);
/* '1MB' to bytes, a bare number counts bytes. */
extern bool options_parse_bytes(const char *value, int64 *bytes);
extern OptionPolicy options_parse_policy(const char *value);

#endif
