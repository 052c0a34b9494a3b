/*
 * define.h - the objects of an aggregate: making, dropping, freezing them.
 */
#ifndef STREAMAGG_DEFINE_H
#define STREAMAGG_DEFINE_H

#include "datatype/timestamp.h"
#include "fmgr.h"

#include "backfill.h"
#include "definition.h"
#include "retention.h"

/* An aggregate to be made. */
typedef struct Request
{
	const char *query;
	const char *late;
	Interval *lateness;
	Interval *length; /* the retention; NULL: none */
	const char *emit;
	Oid stream;
	char *schema;
	char *name; /* of the view; the others add a suffix */
	Oid view;	/* these are what was made */
	Oid state;
	Oid query_view;
	Definition *definition;
	Retention retention;
	const char *timezone; /* the caller's settings are the definition's */
	const char *datestyle;
	const char *intervalstyle;
} Request;

/* The stream of a query of the caller's. */
extern Oid define_stream(const char *sql);
extern void define_take_settings(Request *request);
/* Makes and registers the three relations, as the stream's owner; definition is gone afterwards. */
extern void define_build(Request *request);
/* The qualified, quoted name of one of them. */
extern char *define_name(const Request *request, const char *suffix);
/* A utility statement, within SPI. */
extern void define_run(const char *sql);

/* Arguments of SQL functions. */
extern char *define_text_argument(FunctionCallInfo fcinfo, int number, const char *name);
extern BackfillSource define_backfill_argument(FunctionCallInfo fcinfo, int number);

/*
 * Called before DROP EXTENSION: cuts the ties that would take the state tables along with the
 * views.  NOTICE for each; runs in the caller's transaction.
 */
extern void define_keep_states(void);

/* Called after objects were dropped: forgets aggregates whose view is gone, freezes those whose
 * stream is. */
extern void define_forget_aggregate(Oid view);
extern void define_freeze_aggregates(Oid stream);
/* The same for those whose definition view is gone. */
extern void define_freeze_undefined(void);

/* Takes away, inside SPI, what default privileges gave others. */
extern void define_revoke_from_others(Oid relation);

/* How many aggregates a stream has. */
extern int define_count(Oid stream);

#endif
