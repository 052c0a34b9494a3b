/*
 * settings.c - the settings and the role that statements over users' queries run under.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "catalog.h"
#include "run.h"
#include "stream.h"
#include "streamagg.h"

static void
apply(const char *name, const char *value)
{
	if (strcmp(GetConfigOption(name, false, false), value) != 0)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
}

void
run_apply_neutral_settings(void)
{
	run_apply_settings("UTC", "ISO, MDY", "postgres");
	apply("row_security", "on");
	apply("extra_float_digits", "1");
	apply("bytea_output", "hex");
	apply("array_nulls", "on");
	apply("xmloption", "content");
	apply("timezone_abbreviations", "Default");
	apply("lc_monetary", "C");
	apply("lc_numeric", "C");
	apply("lc_time", "C");
	/* costs more than a batch: plans are made for far more rows than most batches have */
	apply("jit", "off");
}

void
run_apply_settings(const char *timezone, const char *datestyle, const char *intervalstyle)
{
	apply("TimeZone", timezone);
	apply("DateStyle", datestyle);
	apply("IntervalStyle", intervalstyle);
}

void
run_apply_lookup_settings(void)
{
	apply("enable_seqscan", "off");
	apply("enable_hashjoin", "off");
	apply("enable_mergejoin", "off");
}

void
run_enter_owner(Oid stream, OwnerScope *scope)
{
	scope->level = NewGUCNestLevel();
	GetUserIdAndSecContext(&scope->user, &scope->security);
	SetUserIdAndSecContext(stream_owner(stream), scope->security | SECURITY_LOCAL_USERID_CHANGE |
													 SECURITY_RESTRICTED_OPERATION);
	catalog_pin_search_path();
	run_apply_neutral_settings();
}

void
run_leave_owner_undone(const OwnerScope *scope)
{
	AtEOXact_GUC(false, scope->level);
	SetUserIdAndSecContext(scope->user, scope->security);
}

void
run_leave_owner(const OwnerScope *scope)
{
	AtEOXact_GUC(true, scope->level);
	SetUserIdAndSecContext(scope->user, scope->security);
}
