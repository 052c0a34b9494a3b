/*
 * run.h - an aggregate at work: its plan over a batch.
 */
#ifndef STREAMAGG_RUN_H
#define STREAMAGG_RUN_H

#include "executor/spi.h"
#include "nodes/pg_list.h"

#include "batch.h"
#include "fdw/scan.h"
#include "grouping.h"
#include "rewrite.h"
#include "window.h"

/* A statement and its plan, made at the first batch. */
typedef struct OwnPlan
{
	char *sql;
	SPIPlanPtr plan;
} OwnPlan;

typedef struct Aggregate
{
	Oid view;
	Oid state;
	char *name;
	bool drops_late;
	int64 lateness; /* microseconds */
	Window window;
	char *timezone; /* settings of the definition */
	char *datestyle;
	char *intervalstyle;
	Upsert *upsert;
	Grouping *grouping;		   /* NULL: the statement groups by itself */
	struct Sessions *sessions; /* NULL: its windows are no sessions */
	OwnPlan rows;			   /* of the grouping, or the sessions */
	OwnPlan whole; /* the upsert as one statement, of groups where there is a grouping */
	OwnPlan moves; /* of sessions that have become part of others */
	int64 rows_in; /* of this batch */
	int64 late_rows;
	int64 late_pairs;
	Bitmapset *columns; /* of the stream, that the query reads */
	int together;		/* rows of this batch that failed only behind others */
} Aggregate;

/*
 * The aggregates of a stream, in the current context; run_free frees their plans.  Runs with the
 * safe search_path as the stream's owner.
 */
extern List *run_load(Oid stream);
extern void run_free(List *aggregates);
extern void run_free_plan(OwnPlan *own);

/* The columns that some of them reads. */
extern Bitmapset *run_columns(const List *aggregates);

/* A statement of an aggregate over some rows of a batch. */
typedef struct RowRun
{
	Aggregate *aggregate;
	const char *sql; /* NULL: the upsert */
	ScanOffer rows;
} RowRun;

extern void run_rows(const RowRun *run);

/* For one who executes: the plan as it holds now, and whether a statement has ended as it should. */
extern SPIPlanPtr run_own_plan(OwnPlan *own, const Aggregate *aggregate);
extern void run_check_result(const Aggregate *aggregate, int result, int expected);

/* Marks of the late rows that the aggregate leaves out, in the current context; NULL: none. */
extern bool *run_skipped_rows(const Aggregate *aggregate, const Batch *batch);

/* Counts them in the aggregate, and marks those that are late for every window. */
extern void run_count_late(Aggregate *aggregate, const Batch *batch, bool *late);

/*
 * Feeds the batch to each aggregate, then writes their counters; *current is the one at work.  late,
 * an array of the batch's rows, becomes true for rows late for every window of some aggregate.
 */
extern void
run_batch(List *aggregates, Oid stream, const Batch *batch, bool *late, Aggregate **current);

/* Runs a statement over no rows, inside SPI: a running total's first row. */
extern void run_empty(Oid stream, const char *sql);

/*
 * Until the GUC level ends: settings under which the text of constants is printed and read without
 * loss, whoever's session it is; and those of a definition, under which its expressions run.
 */
extern void run_apply_neutral_settings(void);
extern void
run_apply_settings(const char *timezone, const char *datestyle, const char *intervalstyle);

/* Until the GUC level ends: a row that is pointed to is looked up, however small its table seems. */
extern void run_apply_lookup_settings(void);

/*
 * As the stream's owner, with the safe search_path and neutral settings, as a batch is judged.  An error
 * ends it with the (sub)transaction.
 */
typedef struct OwnerScope
{
	Oid user;
	int security;
	int level;
} OwnerScope;

extern void run_enter_owner(Oid stream, OwnerScope *scope);
extern void run_leave_owner(const OwnerScope *scope);

/* An SQL duration to microseconds, as windows count them. */
extern int64 run_lateness(const Interval *interval);

#endif
