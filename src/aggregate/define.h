/*
 * define.h - the objects of an aggregate: making, dropping, freezing them.
 */
#ifndef STREAMAGG_DEFINE_H
#define STREAMAGG_DEFINE_H

#include "datatype/timestamp.h"
#include "fmgr.h"

#include "backfill.h"
#include "definition.h"

/* An aggregate to be made. */
typedef struct Request
{
	const char *query;
	const char *late;
	Interval *lateness;
	const char *emit;
	Oid stream;
	char *schema;
	char *name; /* of the view; the others add a suffix */
	Oid view;	/* these are what was made */
	Oid state;
	Oid query_view;
	Definition *definition;
	const char *timezone; /* the caller's settings are the definition's */
	const char *datestyle;
	const char *intervalstyle;
} Request;

/* The stream of a query of the caller's. */
extern Oid define_stream(const char *sql);
extern void define_take_settings(Request *request);
/* Schema and name of what is to be made, from an argument. */
extern void define_take_name(Request *request, const char *name);

/* The parts of an aggregate that is there. */
typedef struct Existing
{
	Oid state;
	Oid query_view;
	bool is_rollup;
} Existing;

/* What an aggregate is besides its query: late policy, allowed_lateness, emit. */
extern Existing define_take_policies(Request *request, Oid aggregate);

/* The text of a definition view, as it is now; under the safe search_path all names are qualified. */
extern char *define_text(Oid query_view);
/*
 * The view that people read, over a state; create: "CREATE VIEW name", or with OR REPLACE where it gets new
 * columns or another state.  request: its policies.
 */
extern void define_view(const Request *request, const char *create, const Definition *definition,
						const char *state);
/* A list of C strings as a datum. */
extern Datum define_names_array(List *names);
/* Makes and registers the three relations, as the stream's owner; definition is gone afterwards. */
extern void define_build(Request *request);
/* A suffix behind a name that is cut to fit. */
extern char *define_part_name(const char *name, const char *suffix);
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
