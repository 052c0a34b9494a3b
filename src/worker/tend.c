/*
 * tend.c - the keeper's housekeeping of partitioned tables: archives, and states with a retention.
 *
 * It waits for a second at the most, for whoever reads what shall go.
 */
#include "postgres.h"

#include "pgstat.h"
#include "tcop/pquery.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "aggregate/retention.h"
#include "archive.h"
#include "streamagg.h"
#include "tend.h"

#define TEND_EVERY_MS 60000
#define PATIENCE "1s"

/*
 * With a lock_timeout, which holds for the wait inside DETACH, too; and with PortalContext, where the
 * commands that run transactions of their own keep what must outlive them.
 */
void
tend_partitions(bool now)
{
	static TimestampTz last = 0;
	MemoryContext before = PortalContext;
	MemoryContext old = CurrentMemoryContext;
	char *timeout;

	if (!now && !TimestampDifferenceExceeds(last, GetCurrentTimestamp(), TEND_EVERY_MS))
		return;
	last = GetCurrentTimestamp();
	timeout = pstrdup(GetConfigOption("lock_timeout", false, false));
	PortalContext =
		AllocSetContextCreate(TopMemoryContext, "streamagg partitions", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(PortalContext);
	SetConfigOption("lock_timeout", PATIENCE, PGC_SUSET, PGC_S_OVERRIDE);
	archive_tend();
	retention_tend();
	SetConfigOption("lock_timeout", timeout, PGC_SUSET, PGC_S_OVERRIDE);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(PortalContext);
	PortalContext = before;
	pfree(timeout);
	pgstat_report_stat(false);
}
