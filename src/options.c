/*
 * options.c - the closed list of the options of streams and their columns.
 *
 * A table says what each may hold; the validator, the stream's loader and the documentation follow
 * it.  Options of servers and user mappings are kafka/config.c's.
 */
#include "postgres.h"

#include <math.h>

#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "decode/encoding.h"
#include "decode/path.h"
#include "options.h"
#include "protect.h"
#include "start_from.h"
#include "streamagg.h"

#define MAX_NAMES 64

/* A check's fault that begins like this is an error of its own: 0A000. */
#define LATER "Not supported yet: "

static bool
is_one_of(const char *value, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(value, *words) == 0)
			return true;
	return false;
}

static const char *
check_duration(const char *value)
{
	int64 unused;

	return options_parse_duration(value, &unused) ? NULL
												  : "It must be an interval without months that is "
													"not negative, such as '30 seconds'.";
}

static const char *
check_bytes(const char *value)
{
	int64 bytes;

	if (options_parse_bytes(value, &bytes) && bytes > 0 && bytes <= 512 * INT64CONST(1048576))
		return NULL;
	return "It must be a size between 1B and 512MB, such as '1MB'.";
}

static const char *
check_policy(const char *value)
{
	static const char *const words[] = {"quarantine", "drop", "stop", NULL};

	return is_one_of(value, words) ? NULL : "It must be quarantine, drop or stop.";
}

static const char *
check_format(const char *value)
{
	static const char *const later[] = {"csv", "avro", "text", "raw", NULL};

	if (is_one_of(value, later))
		return LATER "json is the only format of this version.";
	return strcmp(value, "json") == 0 ? NULL : "It must be json.";
}

static const char *
check_start_from(const char *value)
{
	StartFrom unused;

	return start_from_parse(value, &unused)
			   ? NULL
			   : "It must be earliest, latest, a time such as '2024-01-31 12:00+00', or offsets of "
				 "partitions such as '{\"0\": 42}'.";
}

static const char *
check_data_loss(const char *value)
{
	static const char *const words[] = {"stop", "skip", NULL};

	return is_one_of(value, words) ? NULL : "It must be stop or skip.";
}

static const char *
check_workers(const char *value)
{
	return strcmp(value, "1") == 0 ? NULL : LATER "it must be 1.";
}

static const char *
check_zero(const char *value)
{
	return strcmp(value, "0") == 0 ? NULL : LATER "it must be 0.";
}

static const char *
check_ratio(const char *value)
{
	char *end;
	double ratio = strtod(value, &end);

	if (end != value && *end == '\0' && ratio >= 0 && ratio <= 1)
		return NULL;
	return "It must be a number from 0 to 1, such as 0.5.";
}

static const char *
check_switch(const char *value)
{
	static const char *const words[] = {"off", "on", NULL};

	return is_one_of(value, words) ? NULL : "It must be off or on.";
}

static const char *
check_path(const char *value)
{
	return path_parse(value)
			   ? NULL
			   : "It must be keys joined by dots, such as a.b; \"a.b\".c quotes a key.";
}

static const char *
check_meta(const char *value)
{
	static const char *const words[] = {"partition", "offset", "timestamp", "key", "topic",
										"headers",	 "rest",   "raw",		NULL};

	if (is_one_of(value, words) || (strncmp(value, "header:", 7) == 0 && value[7] != '\0'))
		return NULL;
	return "It must be partition, offset, timestamp, key, topic, headers, header:NAME, rest or "
		   "raw.";
}

static const char *
check_protect(const char *value)
{
	return is_one_of(value, protect_kinds) ? NULL
										   : "It must be hmac, sha256, truncate, mask or drop.";
}

static const char *
check_canonical(const char *value)
{
	return is_one_of(value, protect_canonicals) ? NULL : "It must be none, lower or inet.";
}

static const char *
check_encoding(const char *value)
{
	ConvertEncoding unused;

	return encoding_parse(value, &unused) ? NULL : "It must be " ENCODING_NAMES ".";
}

const OptionSpec table_options[] = {
	{"topic", NULL, NULL, true},
	{"format", check_format, NULL, true},
	{"start_from", check_start_from, NULL, true},
	{"event_time", NULL, NULL, false}, /* fixed by its column's number, see stream.c */
	{"watermark_delay", check_duration, NULL, false},
	{"idle_timeout", check_duration, NULL, false},
	{"close_after", check_duration, NULL, false},
	{"max_future", check_duration, NULL, false},
	{"on_decode_error", check_policy, NULL, false},
	{"on_violation", check_policy, NULL, false},
	{"on_data_loss", check_data_loss, NULL, false},
	{"batch_interval", check_duration, NULL, false},
	{"max_message_bytes", check_bytes, NULL, false},
	{"max_bad_ratio", check_ratio, NULL, false},
	{"workers", check_workers, NULL, false},
	{"min_partitions", check_zero, NULL, false},
	{"max_offsets_per_batch", check_zero, NULL, false},
	{"archive", check_switch, NULL, false},
	{"archive_keep", check_duration, NULL, false},
	{"dedup_key", NULL, NULL, false},
	{"dedup_within", check_duration, NULL, false},
	{NULL, NULL, NULL, false},
};

const OptionSpec column_options[] = {
	{"path", check_path, NULL, true},			{"meta", check_meta, NULL, true},
	{"encoding", check_encoding, NULL, true},	{"protect", check_protect, NULL, true},
	{"protect_key", NULL, NULL, true},			{"domain", NULL, NULL, true},
	{"canonical", check_canonical, NULL, true}, {NULL, NULL, NULL, false},
};

/* Spark's names for what has another name here. */
static const struct
{
	const char *theirs;
	const char *ours;
} foreign_names[] = {
	{"subscribe", "topic"},
	{"startingoffsets", "start_from"},
	{"maxoffsetspertrigger", "max_offsets_per_batch"},
	{"minpartitions", "min_partitions"},
	{"failondataloss", "on_data_loss"},
	{"kafka.bootstrap.servers", "bootstrap_servers"},
};

static const char *
nearest_name(const char *name, const char *const *valid, int count)
{
	const char *best = NULL;
	int best_distance = 4;

	for (size_t i = 0; i < lengthof(foreign_names); i++)
		if (pg_strcasecmp(name, foreign_names[i].theirs) == 0)
			return foreign_names[i].ours;
	if (strlen(name) > NAMEDATALEN)
		return NULL;
	for (int i = 0; i < count; i++)
	{
		int distance =
			varstr_levenshtein(name, strlen(name), valid[i], strlen(valid[i]), 1, 1, 1, true);

		if (distance < best_distance)
		{
			best_distance = distance;
			best = valid[i];
		}
	}
	return best;
}

void
options_raise_unknown(const char *name, const char *const *valid, int count)
{
	const char *nearest = nearest_name(name, valid, count);
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < count; i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "", valid[i]);
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					count > 0 ? errdetail("Valid options here are: %s.", names.data)
							  : errdetail("There are no options here."),
					nearest ? errhint("Perhaps you meant \"%s\".", nearest) : 0));
}

void
options_check(const OptionSpec *specs, const char *name, const char *value)
{
	const char *names[MAX_NAMES];
	const char *fault;
	int count = 0;

	for (; specs->name && strcmp(specs->name, name) != 0; specs++)
		if (specs->later == NULL && count < MAX_NAMES)
			names[count++] = specs->name;
	if (specs->name == NULL)
		options_raise_unknown(name, names, count);
	if (specs->later)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("option \"%s\" is not supported yet", name),
						errdetail("%s", specs->later)));
	fault = specs->check ? specs->check(value) : (*value ? NULL : "It must not be empty.");
	if (fault)
		ereport(ERROR, (strncmp(fault, LATER, strlen(LATER)) == 0
							? errcode(ERRCODE_FEATURE_NOT_SUPPORTED)
							: errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("invalid value for option \"%s\": \"%s\"", name, value),
						errdetail("%s", fault)));
}

const char *
options_get(List *options, const char *name, const char *fallback)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return fallback;
}

static bool
decode_interval(const char *value, struct pg_itm_in *found)
{
	char buffer[MAXDATELEN + MAXDATEFIELDS];
	char *field[MAXDATEFIELDS];
	int kinds[MAXDATEFIELDS];
	int nfields;
	int dtype;

	memset(found, 0, sizeof(*found));
	return ParseDateTime(value, buffer, sizeof(buffer), field, kinds, MAXDATEFIELDS, &nfields) ==
			   0 &&
		   DecodeInterval(field, kinds, nfields, INTERVAL_FULL_RANGE, &dtype, found) == 0 &&
		   dtype == DTK_DELTA;
}

/* As interval_in reads it, but without raising errors; and 1.5e3 seconds, which it does not take. */
bool
options_parse_duration(const char *value, int64 *microseconds)
{
	struct pg_itm_in found;
	char *unit;
	double number = strtod(value, &unit);

	if (!decode_interval(value, &found) &&
		(unit == value || fabs(number) > 1e12 ||
		 !decode_interval(psprintf("%.6f%s", number, unit), &found)))
		return false;
	if (found.tm_year != 0 || found.tm_mon != 0)
		return false;
	*microseconds = found.tm_usec + found.tm_mday * USECS_PER_DAY;
	return *microseconds >= 0 && *microseconds < 10000 * USECS_PER_DAY;
}

bool
options_parse_bytes(const char *value, int64 *bytes)
{
	char *end;
	int64 number;

	errno = 0;
	number = strtoll(value, &end, 10);
	if (end == value || errno != 0 || number < 0 || number > PG_INT64_MAX / 1073741824)
		return false;
	while (*end == ' ')
		end++;
	if (*end == '\0' || pg_strcasecmp(end, "B") == 0)
		*bytes = number;
	else if (pg_strcasecmp(end, "kB") == 0)
		*bytes = number * 1024;
	else if (pg_strcasecmp(end, "MB") == 0)
		*bytes = number * 1048576;
	else if (pg_strcasecmp(end, "GB") == 0)
		*bytes = number * 1073741824;
	else
		return false;
	return true;
}

OptionPolicy
options_parse_policy(const char *value)
{
	if (strcmp(value, "drop") == 0)
		return POLICY_DROP;
	return strcmp(value, "stop") == 0 ? POLICY_STOP : POLICY_QUARANTINE;
}
