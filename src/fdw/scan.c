/*
 * scan.c - the foreign data wrapper's handler: scans of a stream.
 *
 * Inside a batch a scan hands out the batch's accepted rows: a virtual slot whose arrays point into
 * the arena, so a row costs a pointer.  Outside it reads the topic (topic_scan.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/modify.h"
#include "fdw/scan.h"
#include "fdw/topic_scan.h"
#include "stream.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_kafka_handler);

/* How much a topic holds, only a broker knows, and planning asks none. */
#define ROWS_ESTIMATE 100000
#define COST_PER_ROW 0.001
/* From a broker: dear enough for that the planner keeps the rows when it needs them twice. */
#define TOPIC_STARTUP_COST 1000
#define TOPIC_COST_PER_ROW 0.1

typedef struct StreamScan
{
	TupleTableSlot *slot;
	Datum *own_values; /* the slot's own arrays */
	bool *own_isnull;
	ScanOffer rows;
	int next;
} StreamScan;

static ScanOffer offer;

ScanOffer
scan_offer(const ScanOffer *rows)
{
	ScanOffer before = offer;

	offer = *rows;
	return before;
}

void
scan_withdraw(const ScanOffer *before)
{
	offer = *before;
}

const ScanOffer *
scan_offered(void)
{
	return &offer;
}

/* ---------------------------------------------------------------- planning */

static bool
is_offered(Oid relid)
{
	return offer.batch != NULL && offer.stream == relid;
}

static void
get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	/* a batch when catching up: the case whose plan matters */
	rel->tuples = ROWS_ESTIMATE;
	rel->rows = clamp_row_est(
		ROWS_ESTIMATE * clauselist_selectivity(root, rel->baserestrictinfo, 0, JOIN_INNER, NULL));
}

static void
get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	Cost startup = is_offered(relid) ? 0 : TOPIC_STARTUP_COST;
	Cost per_row = is_offered(relid) ? COST_PER_ROW : TOPIC_COST_PER_ROW;

	add_path(rel, (Path *) create_foreignscan_path(
					  root, rel, NULL, rel->rows, startup, startup + per_row * rel->tuples, NIL,
					  rel->lateral_relids, NULL, COMPAT_NO_RESTRICTINFO NIL));
}

static ForeignScan *
get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *targets,
		 List *clauses, Plan *outer)
{
	return make_foreignscan(targets, extract_actual_clauses(clauses, false), rel->relid, NIL, NIL,
							NIL, NIL, outer);
}

/* ---------------------------------------------------------------- execution */

static void
refuse_local(Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("stream \"%s\" is local: it has no topic to read", get_rel_name(relid)),
					errhint("Its server has no bootstrap_servers. Feed it with "
							"streamagg.push() and read the views of its aggregates.")));
}

/* What a batch writes must not depend on how far another topic is. */
static void
refuse_within_batch(Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot read stream \"%s\" within a batch of another stream",
						   get_rel_name(relid)),
					errhint("Make an aggregate of it with streamagg.create_aggregate() and read "
							"its view.")));
}

static void
begin_topic(ForeignScanState *node, Oid relid, int flags)
{
	bool explain_only = (flags & EXEC_FLAG_EXPLAIN_ONLY) != 0;

	if (stream_server_is_local(GetForeignTable(relid)->serverid))
	{
		if (!explain_only)
			refuse_local(relid);
		return;
	}
	if (offer.batch != NULL && !explain_only)
		refuse_within_batch(relid);
	topic_scan_begin(node, flags);
}

static void
begin_batch(ForeignScanState *node, Oid relid)
{
	StreamScan *scan = palloc0(sizeof(StreamScan));

	scan->rows = offer;
	scan->next = offer.first;
	scan->slot =
		MakeSingleTupleTableSlot(RelationGetDescr(node->ss.ss_currentRelation), &TTSOpsVirtual);
	if (scan->slot->tts_tupleDescriptor->natts != offer.batch->natts)
		elog(ERROR, "stream \"%s\" was altered within a batch", get_rel_name(relid));
	scan->own_values = scan->slot->tts_values;
	scan->own_isnull = scan->slot->tts_isnull;
	node->fdw_state = scan;
}

static void
begin_scan(ForeignScanState *node, int flags)
{
	Oid relid = RelationGetRelid(node->ss.ss_currentRelation);

	if (!is_offered(relid))
		begin_topic(node, relid, flags);
	else if ((flags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		begin_batch(node, relid);
}

static TupleTableSlot *
iterate_scan(ForeignScanState *node)
{
	StreamScan *scan = node->fdw_state;
	TupleTableSlot *slot = scan->slot;
	const Batch *batch = scan->rows.batch;
	const bool *skip = scan->rows.skip;

	while (skip && scan->next < scan->rows.end && skip[scan->next])
		scan->next++;
	if (scan->next >= scan->rows.end)
		return ExecClearTuple(slot);
	slot->tts_values = batch->values + (Size) scan->next * batch->natts;
	slot->tts_isnull = batch->isnull + (Size) scan->next * batch->natts;
	slot->tts_nvalid = batch->natts;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
	scan_set_row(&slot->tts_tid, scan->next);
	scan->next++;
	return slot;
}

static void
rescan(ForeignScanState *node)
{
	StreamScan *scan = node->fdw_state;

	scan->next = scan->rows.first;
}

static void
end_scan(ForeignScanState *node)
{
	StreamScan *scan = node->fdw_state;

	if (scan == NULL)
		return;
	scan->slot->tts_values = scan->own_values;
	scan->slot->tts_isnull = scan->own_isnull;
	ExecDropSingleTupleTableSlot(scan->slot);
}

/* streamagg.kafka_handler() */
Datum
streamagg_kafka_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_rel_size;
	routine->GetForeignPaths = get_paths;
	routine->GetForeignPlan = get_plan;
	routine->BeginForeignScan = begin_scan; /* may put another routine into the node */
	routine->IterateForeignScan = iterate_scan;
	routine->ReScanForeignScan = rescan;
	routine->EndForeignScan = end_scan;
	modify_set_routines(routine);
	PG_RETURN_POINTER(routine);
}
