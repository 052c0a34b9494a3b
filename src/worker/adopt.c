/*
 * adopt.c - streamagg.adopt(): a restored or copied database says that its streams are its own.
 *
 * Each row of stream_catalog has the identity of the database that it was made or last started in.
 * Keepers start only streams of their own database's identity; start() refuses while there are others.
 * A standby that is promoted, a server that is moved or restored from a physical backup, keep theirs.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "adopt.h"
#include "catalog.h"
#include "control.h"
#include "event.h"
#include "session.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_adopt);

static CatalogStatement others_streams = {
	"SELECT s.stream FROM streamagg.stream_catalog s JOIN pg_catalog.pg_class c ON c.oid = s.stream"
	" WHERE s.identity IS DISTINCT FROM $1 ORDER BY 1",
	1,
	{TEXTOID},
	NULL};

/* Options may have been altered meanwhile: what runs from now on runs with those of now. */
static CatalogStatement adopt_stream = {
	"UPDATE streamagg.stream_catalog SET identity = $2, fixed = $3, since = now()"
	" WHERE stream = $1 AND identity IS DISTINCT FROM $2",
	3,
	{REGCLASSOID, TEXTOID, TEXTOID},
	NULL};

/* In the current context. */
static List *
find_others_streams(void)
{
	Datum identity = CStringGetTextDatum(control_identity());

	return catalog_list_oids(&others_streams, &identity);
}

void
adopt_require(void)
{
	int count = list_length(find_others_streams());

	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database was restored or copied: its streams start nothing before "
						"they are adopted"),
				 errdetail_plural("%d stream comes from another database.",
								  "%d streams come from another database.", count, count),
				 errhint("If they shall run here, SELECT streamagg.adopt(); as a member of "
						 "streamagg_admin.")));
}

/*
 * streamagg.adopt(): takes over the streams that were made or started in another database; how many.
 * What ran there runs from commit on.
 */
Datum
streamagg_adopt(PG_FUNCTION_ARGS)
{
	int adopted = 0;
	ListCell *cell;

	streamagg_require_preload();
	catalog_check_version();
	PreventCommandDuringRecovery("streamagg.adopt()");
	foreach (cell, find_others_streams())
	{
		Oid stream = lfirst_oid(cell);
		Datum values[3] = {ObjectIdGetDatum(stream), CStringGetTextDatum(control_identity()),
						   CStringGetTextDatum(stream_fixed_options(stream))};

		if (catalog_execute(&adopt_stream, values, NULL) == 0)
			continue;
		event_log(stream, "adopt", NULL);
		adopted++;
	}
	session_changed();
	PG_RETURN_INT32(adopted);
}
