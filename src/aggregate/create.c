/*
 * create.c - streamagg.create_aggregate(): its arguments, and who may.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "archive.h"
#include "catalog.h"
#include "define.h"
#include "event.h"
#include "run.h"
#include "stream.h"
#include "streamagg.h"
#include "worker/control.h"

PG_FUNCTION_INFO_V1(streamagg_create_aggregate);

/* ---------------------------------------------------------------- arguments */

char *
define_text_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument %s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static const char *
word_argument(FunctionCallInfo fcinfo, int number, const char *name, const char *first,
			  const char *second)
{
	const char *word = define_text_argument(fcinfo, number, name);

	if (strcmp(word, first) != 0 && strcmp(word, second) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for argument %s: \"%s\"", name, word),
						errhint("It is %s or %s.", first, second)));
	return word;
}

static void
refuse_later_arguments(FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(5))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("retention is not supported yet"),
				 errhint("Leave it NULL: windows are kept for ever.")));
}

BackfillSource
define_backfill_argument(FunctionCallInfo fcinfo, int number)
{
	const char *word = define_text_argument(fcinfo, number, "backfill");

	if (strcmp(word, "none") == 0)
		return BACKFILL_NONE;
	if (strcmp(word, "archive") == 0)
		return BACKFILL_ARCHIVE;
	if (strcmp(word, "kafka") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for argument backfill: \"%s\"", word),
						errhint("It is none, archive or kafka.")));
	return BACKFILL_KAFKA;
}

void
define_take_settings(Request *request)
{
	request->timezone = pstrdup(GetConfigOption("TimeZone", false, false));
	request->datestyle = pstrdup(GetConfigOption("DateStyle", false, false));
	request->intervalstyle = pstrdup(GetConfigOption("IntervalStyle", false, false));
}

void
define_take_name(Request *request, const char *name)
{
	List *names = textToQualifiedNameList(cstring_to_text(name));
	RangeVar *relation = makeRangeVarFromNameList(names);

	request->schema = get_namespace_name(RangeVarGetCreationNamespace(relation));
	request->name = relation->relname;
	if (strlen(request->name) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_NAME), errmsg("the name must not be empty")));
}

static void
read_arguments(FunctionCallInfo fcinfo, Request *request)
{
	char *name = define_text_argument(fcinfo, 0, "name");

	request->query = define_text_argument(fcinfo, 1, "query");
	request->late = word_argument(fcinfo, 2, "late", "merge", "drop");
	request->emit = word_argument(fcinfo, 4, "emit", "live", "final");
	if (PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument allowed_lateness must not be null")));
	request->lateness = PG_GETARG_INTERVAL_P(3);
	if (request->lateness->month != 0 || request->lateness->day < 0 ||
		request->lateness->time < 0 || run_lateness(request->lateness) > 1000 * USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("allowed_lateness must be between 0 and 1000 days, without months")));
	refuse_later_arguments(fcinfo);
	define_take_name(request, name);
	define_take_settings(request);
}

/* ---------------------------------------------------------------- create_aggregate */

static void
fill_new(const Request *request, BackfillSource backfill)
{
	OwnerScope scope;

	if (backfill == BACKFILL_NONE)
		return;
	run_enter_owner(request->stream, &scope);
	(void) backfill_new(request->view, backfill);
	run_leave_owner(&scope);
}

/*
 * streamagg.create_aggregate(name, query, late, allowed_lateness, emit, retention, backfill).
 * Everything belongs to the stream's owner, of whom the caller must be a member (42501).
 */
Datum
streamagg_create_aggregate(PG_FUNCTION_ARGS)
{
	Request request = {0};
	BackfillSource backfill;
	Oid user;
	int security;

	streamagg_require_preload();
	PreventCommandDuringRecovery("create_aggregate()");
	catalog_check_version();
	read_arguments(fcinfo, &request);
	backfill = define_backfill_argument(fcinfo, 6);
	request.stream = define_stream(request.query);
	stream_require_owner(request.stream);
	LockRelationOid(request.stream, ShareUpdateExclusiveLock);
	stream_free(stream_load(request.stream, CurrentMemoryContext));
	archive_prepare(request.stream);

	control_register(request.stream);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(stream_owner(request.stream),
						   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	define_build(&request);
	SetUserIdAndSecContext(user, security);
	fill_new(&request, backfill);

	event_log(request.stream, "create_aggregate", stream_name(request.view));
	/* a running worker loads its definitions anew */
	CacheInvalidateRelcacheByRelid(request.stream);
	if (control_is_running(request.stream) && backfill == BACKFILL_NONE)
		ereport(NOTICE,
				(errmsg("stream \"%s\" is running: the aggregate begins with its next batch",
						get_rel_name(request.stream))));
	PG_RETURN_OID(request.view);
}
