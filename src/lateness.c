/*
 * lateness.c - streamagg.lateness_profile(): how late rows come, for the choice of watermark_delay.
 *
 * The delay of an accepted row is the highest event time of the earlier accepted rows of its partition
 * less its own.  A row behind the watermark has a delay greater than watermark_delay, so rows are counted
 * between the delays that people write: the counts of those are exact.  They depend only on the records
 * and their order, not on batches, and are written with each batch.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "lateness.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_lateness_profile);

#define MS(n) ((n) *INT64CONST(1000))
#define S(n) ((n) *USECS_PER_SEC)
#define MIN(n) ((n) *USECS_PER_MINUTE)
#define H(n) ((n) *USECS_PER_HOUR)
#define D(n) ((n) *USECS_PER_DAY)

/* No more than so many delays from a power of two up to the next. */
#define STEPS 3

/*
 * Bucket i has the rows later than the delay before this one, up to and with it.  Their numbers are
 * stored: what is here stays as it is.  The last ones end the search.
 */
static const int64 delays[] = {
	MS(1),		  MS(2),		MS(5),		  MS(10),  MS(20),	MS(50),	 MS(100),  MS(200),
	MS(500),	  S(1),			S(2),		  S(3),	   S(4),	S(5),	 S(6),	   S(8),
	S(10),		  S(15),		S(20),		  S(30),   S(45),	MIN(1),	 S(90),	   MIN(2),
	MIN(3),		  MIN(4),		MIN(5),		  MIN(6),  MIN(8),	MIN(10), MIN(15),  MIN(20),
	MIN(30),	  MIN(45),		H(1),		  MIN(90), H(2),	H(3),	 H(4),	   H(6),
	H(8),		  H(12),		H(18),		  D(1),	   H(36),	D(2),	 D(3),	   D(5),
	D(7),		  D(10),		D(14),		  D(21),   D(30),	D(45),	 D(60),	   D(90),
	D(180),		  D(365),		D(730),		  D(1825), D(3650), D(7300), D(18250), D(36500),
	PG_INT64_MAX, PG_INT64_MAX, PG_INT64_MAX,
};

#define NDELAYS ((int) lengthof(delays) - STEPS)

StaticAssertDecl(lengthof(delays) - STEPS < LATENESS_BUCKETS, "a bucket behind each delay");

/* The share of rows, in thousandths, that the suggested delay covers. */
#define COVERED 999

static CatalogStatement store_counts = {
	"INSERT INTO streamagg.lateness_progress AS l (stream, rows, longest, late)"
	" SELECT $1, $2, $3, $4"
	" ON CONFLICT (stream) DO UPDATE SET rows = l.rows + excluded.rows,"
	" longest = greatest(l.longest, excluded.longest),"
	" late = CASE WHEN excluded.late = '{}' THEN l.late"
	" ELSE ARRAY(SELECT coalesce(n.a, 0) + coalesce(n.b, 0)"
	" FROM unnest(l.late, excluded.late) WITH ORDINALITY AS n (a, b, number) ORDER BY n.number) "
	"END",
	4,
	{REGCLASSOID, INT8OID, INT8OID, INT8ARRAYOID},
	NULL};

static CatalogStatement read_counts = {
	"SELECT rows, longest, late FROM streamagg.lateness_progress WHERE stream = $1",
	1,
	{REGCLASSOID},
	NULL};

/* ---------------------------------------------------------------- counting */

/* The first delay of each power of two. */
static const uint8 *
first_delays(void)
{
	static uint8 first[64];
	static bool made = false;

	for (int power = 0, at = 0; power < 64 && !made; power++)
	{
		while (at < NDELAYS && (uint64) delays[at] < UINT64CONST(1) << power)
			at++;
		first[power] = at;
	}
	made = true;
	return first;
}

/* Without branches: delays are as good as random, and nearly every row of some topics has one. */
void
lateness_add(Lateness *lateness, uint64 delay)
{
	int64 capped = (int64) Min(delay, (uint64) PG_INT64_MAX - 1);
	int at = first_delays()[pg_leftmost_one_pos64(capped)];

	for (int i = 0; i < STEPS; i++)
		at += capped > delays[at];
	lateness->buckets[at]++;
	lateness->longest = Max(lateness->longest, capped);
}

void
lateness_store(const Lateness *lateness, Oid stream, int64 rows)
{
	Datum counts[LATENESS_BUCKETS];
	Datum values[4] = {ObjectIdGetDatum(stream), Int64GetDatum(rows),
					   Int64GetDatum(lateness->longest)};
	int used = 0;

	if (rows == 0)
		return;
	for (int i = 0; i < LATENESS_BUCKETS; i++)
	{
		counts[i] = Int64GetDatum(lateness->buckets[i]);
		if (lateness->buckets[i] > 0)
			used = i + 1;
	}
	values[3] = catalog_array(counts, NULL, used, INT8OID);
	catalog_execute(&store_counts, values, NULL);
}

/* ---------------------------------------------------------------- the profile */

typedef struct Profile
{
	int64 rows;
	int64 longest;
	int64 buckets[LATENESS_BUCKETS];
	int64 current; /* watermark_delay */
} Profile;

/* False when no row was accepted yet. */
static bool
read_profile(Oid stream, Profile *profile)
{
	Datum argument = ObjectIdGetDatum(stream);
	CatalogScope scope;
	bool found;
	bool isnull;

	catalog_enter(&scope);
	found = catalog_read(&read_counts, &argument) > 0;
	if (found)
	{
		ArrayType *late = DatumGetArrayTypeP(catalog_value(0, 3, &isnull));
		int count = ArrayGetNItems(ARR_NDIM(late), ARR_DIMS(late));

		profile->rows = DatumGetInt64(catalog_value(0, 1, &isnull));
		profile->longest = DatumGetInt64(catalog_value(0, 2, &isnull));
		memcpy(profile->buckets, ARR_DATA_PTR(late), sizeof(int64) * Min(count, LATENESS_BUCKETS));
	}
	catalog_leave(&scope);
	return found;
}

/* How many rows are later; of a delay between two that are counted by, at the most. */
static int64
late_rows(const Profile *profile, int64 delay)
{
	int64 late = 0;

	if (delay >= profile->longest)
		return 0;
	for (int i = 0; i <= NDELAYS; i++)
		if (delays[i] > delay)
			late += profile->buckets[i];
	return late;
}

/* A row of the result. */
typedef struct Candidate
{
	int64 delay;
	bool is_round; /* may be suggested */
} Candidate;

typedef struct Candidates
{
	int count;
	Candidate list[LATENESS_BUCKETS + 3];
} Candidates;

static void
add_candidate(Candidates *candidates, int64 delay, bool is_round)
{
	int at = candidates->count;

	while (at > 0 && candidates->list[at - 1].delay > delay)
		at--;
	if (at > 0 && candidates->list[at - 1].delay == delay)
	{
		candidates->list[at - 1].is_round |= is_round;
		return;
	}
	memmove(&candidates->list[at + 1], &candidates->list[at],
			sizeof(Candidate) * (candidates->count++ - at));
	candidates->list[at].delay = delay;
	candidates->list[at].is_round = is_round;
}

/* The delays that make a difference, the longest, and the one in force. */
static void
choose_candidates(const Profile *profile, Candidates *candidates)
{
	candidates->count = 0;
	add_candidate(candidates, 0, true);
	for (int i = 0; i < NDELAYS; i++)
		if (profile->buckets[i] > 0)
			add_candidate(candidates, delays[i], true);
	add_candidate(candidates, profile->longest, false);
	add_candidate(candidates, profile->current, false);
}

static bool
covers(const Profile *profile, int64 late, int thousandths)
{
	/* as floats: the product of counts may be too great */
	return (double) late * 1000 <= (double) profile->rows * (1000 - thousandths);
}

/* What there is to say of a delay; covered is what the ones before it cover. */
static char *
note(const Profile *profile, const Candidate *candidate, int64 late, int *covered)
{
	static const int quantiles[] = {500, 900, 990, 999};
	StringInfoData text;

	initStringInfo(&text);
	for (size_t i = 0; i < lengthof(quantiles); i++)
		if (quantiles[i] > *covered && covers(profile, late, quantiles[i]))
		{
			*covered = quantiles[i];
			appendStringInfo(&text, "p%g, ", quantiles[i] / 10.0);
		}
	if (candidate->delay == profile->longest)
		appendStringInfoString(&text, "max, ");
	if (candidate->delay == profile->current)
		appendStringInfoString(&text, "watermark_delay, ");
	if (text.len > 0)
		text.data[text.len - 2] = '\0';
	return text.data;
}

/* A day is 24 hours, as in the option. */
static Datum
interval_of(int64 microseconds)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->day = microseconds / USECS_PER_DAY;
	interval->time = microseconds % USECS_PER_DAY;
	return IntervalPGetDatum(interval);
}

static void
put_rows(const Profile *profile, ReturnSetInfo *result)
{
	Candidates candidates;
	bool is_suggested = false;
	int covered = 0;

	choose_candidates(profile, &candidates);
	for (int i = 0; i < candidates.count; i++)
	{
		const Candidate *candidate = &candidates.list[i];
		int64 late = late_rows(profile, candidate->delay);
		bool suggest = !is_suggested && candidate->is_round && covers(profile, late, COVERED);
		const char *text = note(profile, candidate, late, &covered);
		Datum values[5] = {interval_of(candidate->delay), Int64GetDatum(late),
						   Float8GetDatum((double) late / profile->rows), CStringGetTextDatum(text),
						   BoolGetDatum(suggest)};
		bool nulls[5] = {false, false, false, *text == '\0', false};

		is_suggested |= suggest;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * streamagg.lateness_profile(stream): no row before the first accepted row.  Errors: 42809 for no stream,
 * 42501 for others than members of its owner and streamagg_reader.
 */
Datum
streamagg_lateness_profile(PG_FUNCTION_ARGS)
{
	Oid stream = PG_GETARG_OID(0);
	Profile profile = {0};

	streamagg_require_preload();
	catalog_check_version();
	stream_require_reader(stream);
	InitMaterializedSRF(fcinfo, 0);
	profile.current = stream_watermark_delay(stream);
	if (read_profile(stream, &profile))
		put_rows(&profile, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
