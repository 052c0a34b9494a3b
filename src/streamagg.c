/*
 * streamagg.c - the library's entry: settings, shared memory, launcher; installation checks and
 * version().  Nothing else lives here.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog.h"
#include "decode/json.h"
#include "kafka/config.h"
#include "streamagg.h"
#include "worker/launcher.h"
#include "worker/shared.h"
#include "worker/utility.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(streamagg_check_installation);
PG_FUNCTION_INFO_V1(streamagg_version);

bool streamagg_enabled = true;
int streamagg_max_workers = 32;
int streamagg_worker_memory = 256 * 1024;
int streamagg_backfill_rate = 0;
int streamagg_hook_timeout = 10000;
int streamagg_quarantine_keep = 30 * 24 * 60;
int streamagg_quarantine_max_rows = 1000000;
bool streamagg_preloaded = false;

void _PG_init(void);

static void
define_settings(void)
{
	DefineCustomBoolVariable("streamagg.enabled", "Lets streams run.",
							 "Off: every worker ends after its batch; on again: they resume.",
							 &streamagg_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamagg.max_workers", "Streams that can run at the same time.",
							"Each takes one of max_worker_processes.", &streamagg_max_workers, 32,
							1, 1024, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamagg.worker_memory",
							"Memory of a worker for records read ahead and the rows of a batch.",
							NULL, &streamagg_worker_memory, 256 * 1024, 16 * 1024, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"streamagg.backfill_rate",
		"Rows a second that a backfill reads at the most; 0: as many as it can.", NULL,
		&streamagg_backfill_rate, 0, 0, INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamagg.hook_timeout",
							"How long a command of on_close() may run; 0: as long as it likes.",
							"It runs in the stream's batch. One that is cut off is tried again.",
							&streamagg_hook_timeout, 10000, 0, INT_MAX, PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable(
		"streamagg.quarantine_keep", "How long a record stays in quarantine; 0: for ever.",
		"What is deleted is told in streamagg.events; counters stay.", &streamagg_quarantine_keep,
		30 * 24 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable("streamagg.quarantine_max_rows",
							"Records of a stream that stay in quarantine, the newest; 0: all.",
							"What is deleted is told in streamagg.events; counters stay.",
							&streamagg_quarantine_max_rows, 1000000, 0, INT_MAX, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	MarkGUCPrefixReserved(STREAMAGG_NAME);
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	streamagg_preloaded = true;
	define_settings();
	shared_request();
	launcher_register();
	utility_install_hook();
}

void
streamagg_require_preload(void)
{
	const char *loaded;

	if (streamagg_preloaded)
		return;
	loaded = GetConfigOption("shared_preload_libraries", true, false);
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("streamagg is not in shared_preload_libraries"),
					errdetail("Streams are consumed by background workers, which the server "
							  "prepares when it starts."),
					errhint("Run ALTER SYSTEM SET shared_preload_libraries = %s%sstreamagg; and "
							"restart the server.",
							loaded && *loaded ? loaded : "", loaded && *loaded ? ", " : "")));
}

/*
 * streamagg.check_installation(): called by the install script before anything is made.
 * Errors: 55000 when not preloaded, 0A000 for an encoding other than UTF8.
 */
Datum
streamagg_check_installation(PG_FUNCTION_ARGS)
{
	streamagg_require_preload();
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("streamagg needs a database with encoding UTF8"),
						errdetail("This one has %s.", GetDatabaseEncodingName()),
						errhint("CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.")));
	PG_RETURN_VOID();
}

static void
put_version(ReturnSetInfo *result, const char *component, const char *version)
{
	Datum values[2] = {CStringGetTextDatum(component), CStringGetTextDatum(version)};
	bool nulls[2] = {false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* streamagg.version(): a row a component. */
Datum
streamagg_version(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	put_version(result, "streamagg", catalog_extension_version());
	put_version(result, "streamagg library", STREAMAGG_LIBRARY_VERSION);
	put_version(result, "postgresql", PG_VERSION);
	put_version(result, "librdkafka", kafka_library_version());
	put_version(result, "simdjson", json_library_version());
	return (Datum) 0;
}
