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
#include "retention.h"
#include "rewrite.h"
#include "window.h"

/* A statement and its plan, made at the first batch. */
typedef struct OwnPlan
{
	char *sql;
	SPIPlanPtr plan;
} OwnPlan;

/* A statement that a batch runs for an aggregate, in one of two ways. */
typedef struct BatchStatement
{
	const char *name; /* of what it writes, for people */
	Upsert *upsert;
	Grouping *grouping; /* NULL: the statement groups by itself */
	bool by_panes;		/* its rows have panes in place of windows */
	OwnPlan rows;		/* of the grouping, or the sessions */
	OwnPlan whole;		/* of groups where there is a grouping */
	OwnPlan moves;		/* of sessions that have become part of others */
} BatchStatement;

typedef struct Aggregate
{
	Oid view;
	Oid state;
	char *name;
	bool has_begun; /* some batch before has said where */
	bool drops_late;
	int64 lateness;			/* microseconds */
	int64 leaves_out_after; /* rows that come so long behind a window's end; -1: none */
	Retention retention;
	List *tables;  /* of Oid, that have its partitions: the state, and side tables */
	Window judged; /* says when a row is late: the window, or that of the aggregate of a rollup */
	const Definition *definition;
	char *timezone; /* settings of the definition */
	char *datestyle;
	char *intervalstyle;
	struct Sessions *sessions; /* NULL: its windows are no sessions */
	List *statements;		   /* of BatchStatement: the groups first, then the side tables */
	int64 rows_in;			   /* of this batch */
	int64 late_rows;
	int64 late_pairs;
	Bitmapset *columns; /* of the stream, that the query reads */
	OwnPlan closing;	/* the windows that a step of the closing watermark closes; see closing.c */
	bool has_hook;		/* see close_hook.h */
	struct ClosingLate *late;			   /* of this batch; see closing_late.c … */
	struct ClosingSessions *late_sessions; /* … and closing_session.c */
	int together;						   /* rows of this batch that failed only behind others */
} Aggregate;

/*
 * The aggregates of a stream, in the current context; run_free frees their plans.  Runs with the
 * safe search_path as the stream's owner.
 */
extern List *run_load(Oid stream);
/* One of them, whatever is wrong with the others. */
extern Aggregate *run_load_one(Oid stream, Oid view);
extern void run_free(List *aggregates);
extern void run_free_plan(OwnPlan *own);

/* The columns that some of them reads. */
extern Bitmapset *run_columns(const List *aggregates);

/* What a batch runs of an aggregate, in this order: a List of RunStatement. */
typedef struct RunStatement
{
	const char *name;
	const char *sql;
} RunStatement;

extern List *run_statements(const Aggregate *aggregate);

/* A statement of an aggregate over some rows of a batch. */
typedef struct RowRun
{
	Aggregate *aggregate;
	const char *sql; /* NULL: all that a batch runs */
	ScanOffer rows;
} RowRun;

extern void run_rows(const RowRun *run);

/* For one who executes: the plan as it holds now, and whether a statement has ended as it should. */
extern SPIPlanPtr run_own_plan(OwnPlan *own, const Aggregate *aggregate);
extern void run_check_result(const Aggregate *aggregate, int result, int expected);

/* Outside what may be undone: partitions of states for the rows of a batch. */
extern void run_make_room(const List *aggregates, Oid stream, const Batch *batch);

/* The batch's rows, less late ones where those are dropped; its arrays are in the current context. */
extern ScanOffer run_offer(const Aggregate *aggregate, Oid stream, const Batch *batch);

/*
 * Marks of the rows of an offer that are not late for just so many of their windows; *next is the next
 * number that some row is late for, 0: none.
 */
extern bool *
run_skip_others(const Aggregate *aggregate, const ScanOffer *offer, int late, int *next);

/* Counts late rows in the aggregate, and marks those that are late for every window. */
extern void run_count_late(Aggregate *aggregate, const Batch *batch, bool *late);

/*
 * Feeds the batch to each aggregate, then writes their counters; *current is the one at work.  late,
 * an array of the batch's rows, becomes true for rows late for every window of some aggregate.
 */
extern void
run_batch(List *aggregates, Oid stream, const Batch *batch, bool *late, Aggregate **current);

/* A scan of the stream that returns no row, in the current context. */
extern ScanOffer run_no_rows(Oid stream);
/* A batch without a row: where aggregates begin that have met none before. */
extern void run_begin(const List *aggregates, Oid stream);

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
/* The same, and settings that were changed meanwhile are what they were. */
extern void run_leave_owner_undone(const OwnerScope *scope);

/*
 * How long behind a window's end rows of it are left out: once it is closed, where late rows are dropped;
 * else once it is over by its retention.
 */
extern int64 run_leaves_out_after(bool drops_late, int64 lateness, int64 retention);

/* An SQL duration to microseconds, as windows count them. */
extern int64 run_lateness(const Interval *interval);

#endif
