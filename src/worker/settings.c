/*
 * settings.c - the settings of a worker: those of its role or database do not count where results
 * would depend on them.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "utils/guc.h"

#include "settings.h"

#define KEPT_BYTES (128 * 1024 * 1024)
#define MAPPED_BYTES (16 * 1024 * 1024) /* and more: on their own */

void
settings_apply(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"lock_timeout", SETTINGS_LOCK_TIMEOUT},
		{"idle_in_transaction_session_timeout", "0"},
		{"jit", "off"},
		{"TimeZone", "UTC"},
		{"DateStyle", "ISO, MDY"},
		{"IntervalStyle", "postgres"},
		{"bytea_output", "hex"},
		{"extra_float_digits", "1"},
		{"array_nulls", "on"},
		{"xmloption", "content"},
		{"timezone_abbreviations", "Default"},
		{"lc_monetary", "C"},
		{"plan_cache_mode", "auto"},
#if PG_VERSION_NUM >= 170000
		{"transaction_timeout", "0"},
#endif
	};

	for (size_t i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_OVERRIDE);
}

/*
 * One of the library's threads makes each message, ours frees it.  With a heap for each thread the
 * memory of those that were freed comes back late and cold; a common one gives it back at once.  And
 * what a batch needed, the next one needs again: given to the kernel in between, each page would come
 * back by a fault.
 */
void
settings_share_heap(void)
{
#ifdef M_ARENA_MAX
	(void) mallopt(M_ARENA_MAX, 1);
	(void) mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	(void) mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
#endif
}

void
settings_trim_heap(void)
{
#ifdef M_ARENA_MAX
	(void) malloc_trim(0);
#endif
}
