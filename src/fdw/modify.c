/*
 * modify.c - INSERT and COPY into a stream: rows become records of its topic.
 *
 * A statement has a producer of its own, made for its first row, with the credentials of the user who
 * runs it.  Each row is read back by the stream's own rules before it is sent; at its end the statement
 * waits until all records are confirmed.  What is sent stays, whatever becomes of the transaction; what
 * is not sent when the statement fails, never is.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "aggregate/run.h"
#include "catalog.h"
#include "check.h"
#include "compat.h"
#include "decode/time.h"
#include "encode/row.h"
#include "fdw/modify.h"
#include "guard.h"
#include "kafka/producer.h"
#include "stream.h"
#include "streamagg.h"

#define ROWS_AT_ONCE 100
#define BYTES_AT_ONCE (8 * 1024 * 1024)

/* One statement's writing into one stream. */
typedef struct Insert
{
	dlist_node node; /* of inserts, while there is a producer */
	SubTransactionId subtransaction;
	MemoryContext context;
	MemoryContext scratch; /* of a row */
	Relation rel;
	Oid user;
	Stream *stream;
	RowWriter *writer;
	KafkaProducer *producer; /* NULL before the first row */
} Insert;

static dlist_head inserts = DLIST_STATIC_INIT(inserts);

/* ---------------------------------------------------------------- the end, however it comes */

static void
close_insert(void *argument)
{
	Insert *insert = argument;
	KafkaProducer *producer = insert->producer;

	if (producer == NULL)
		return;
	dlist_delete(&insert->node);
	insert->producer = NULL;
	kafka_producer_destroy(producer);
}

/* The inserts of a subtransaction, 0: all. */
static void
close_inserts(SubTransactionId subtransaction)
{
	dlist_mutable_iter each;

	dlist_foreach_modify(each, &inserts)
	{
		Insert *insert = dlist_container(Insert, node, each.cur);

		if (subtransaction == 0 || insert->subtransaction == subtransaction)
			close_insert(insert);
	}
}

/* A failed statement's memory may stay until ROLLBACK; its records must not be sent until then. */
static void
on_transaction(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_ABORT)
		close_inserts(0);
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId own, SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		close_inserts(own);
}

static void
register_once(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
	registered = true;
}

/* ---------------------------------------------------------------- beginning */

static void
refuse_local(Oid relid)
{
	if (stream_server_is_local(GetForeignTable(relid)->serverid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stream \"%s\" is local: it has no topic to write to", get_rel_name(relid)),
				 errhint("Its server has no bootstrap_servers. Feed it with "
						 "streamagg.push().")));
}

static void
refuse_clause(Oid relid, const char *clause, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("INSERT into stream \"%s\" cannot have %s", get_rel_name(relid), clause),
					errdetail("%s", detail)));
}

static void
check_clauses(Oid relid, bool returning, bool on_conflict, bool checked)
{
	if (returning)
		refuse_clause(relid, "RETURNING", "Offsets are not known before the statement ends.");
	if (on_conflict)
		refuse_clause(relid, "ON CONFLICT", "A topic has no unique keys.");
	if (checked)
		refuse_clause(relid, "WITH CHECK OPTION", "What is written cannot be taken back.");
}

static List *
plan_modify(PlannerInfo *root, ModifyTable *plan, Index result, int subplan)
{
	Oid relid = planner_rt_fetch(result, root)->relid;

	if (plan->operation != CMD_INSERT)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot change the records of stream \"%s\"", get_rel_name(relid)),
						errdetail("What is in a topic stays as it is.")));
	refuse_local(relid);
	check_clauses(relid, plan->returningLists != NIL, plan->onConflictAction != ONCONFLICT_NONE,
				  plan->withCheckOptionLists != NIL);
	return NIL;
}

/* Nothing of a protected column is ever written: it is NULL, and no key is asked for. */
static void
forget_protection(Stream *stream)
{
	for (int i = 0; i < stream->natts; i++)
		if (stream->columns[i].protection.kind != PROTECT_NONE)
			stream->columns[i].protection.kind = PROTECT_DROP;
}

static void
begin_insert(ResultRelInfo *result, Oid user)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg insert", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Insert *insert = palloc0(sizeof(Insert));
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));

	streamagg_require_preload();
	catalog_check_version();
	insert->context = context;
	insert->scratch = AllocSetContextCreate(context, "streamagg row", ALLOCSET_DEFAULT_SIZES);
	insert->rel = result->ri_RelationDesc;
	insert->user = user;
	insert->stream = stream_load(RelationGetRelid(insert->rel), context);
	forget_protection(insert->stream);
	insert->writer = row_writer_create(insert->stream);
	callback->func = close_insert;
	callback->arg = insert;
	MemoryContextRegisterResetCallback(context, callback);
	result->ri_FdwState = insert;
	MemoryContextSwitchTo(old);
}

static void
begin_modify(ModifyTableState *state, ResultRelInfo *result, List *private, int subplan, int flags)
{
	if (!(flags & EXEC_FLAG_EXPLAIN_ONLY))
		begin_insert(result, compat_result_user(result, state->ps.state));
}

/* COPY, and rows that a partitioned table routes here. */
static void
begin_foreign_insert(ModifyTableState *state, ResultRelInfo *result)
{
	Oid relid = RelationGetRelid(result->ri_RelationDesc);
	ModifyTable *plan = (ModifyTable *) state->ps.plan;

	refuse_local(relid);
	check_clauses(relid, result->ri_returningList != NIL,
				  plan && plan->onConflictAction != ONCONFLICT_NONE,
				  result->ri_WithCheckOptions != NIL);
	begin_insert(result, compat_result_user(result, state->ps.state));
}

/* ---------------------------------------------------------------- rows */

static void
open_producer(Insert *insert)
{
	Stream *stream = insert->stream;
	KafkaProducerConfig config = {stream->server, insert->user, stream->topic,
								  stream->max_message_bytes};

	register_once();
	insert->producer = kafka_producer_create(&config);
	dlist_push_tail(&inserts, &insert->node);
	kafka_producer_connect(insert->producer);
}

static void
send_record(Insert *insert, const Record *record)
{
	KafkaHeader *headers = palloc(sizeof(KafkaHeader) * Max(record->nheaders, 1));
	KafkaOutgoing outgoing = {
		.partition =
			record->partition == ROW_ANY_PARTITION ? KAFKA_ANY_PARTITION : record->partition,
		.key = record->key,
		.key_length = record->key_length,
		.value = record->value,
		.length = record->length,
		.timestamp = record->has_time == RECORD_TIME_VALID ? (record->time - TIME_UNIX_EPOCH) / 1000
														   : KAFKA_NOW,
		.headers = headers,
		.nheaders = record->nheaders};

	for (int i = 0; i < record->nheaders; i++)
		headers[i] = (KafkaHeader){record->headers[i].name, record->headers[i].value,
								   record->headers[i].length};
	kafka_producer_send(insert->producer, &outgoing);
}

static void
write_row(Insert *insert, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(insert->scratch);
	Record record;

	slot_getallattrs(slot);
	row_write(insert->writer, slot->tts_values, slot->tts_isnull, &record);
	row_verify(insert->stream, insert->rel, &record, slot->tts_values, slot->tts_isnull);
	if (insert->producer == NULL)
		open_producer(insert);
	send_record(insert, &record);
	MemoryContextSwitchTo(old);
	MemoryContextReset(insert->scratch);
}

typedef struct Rows
{
	Insert *insert;
	TupleTableSlot **slots;
	int count;
} Rows;

static void
write_rows(void *argument)
{
	const Rows *rows = argument;

	check_begin(rows->insert->stream);
	for (int i = 0; i < rows->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_row(rows->insert, rows->slots[i]);
	}
	check_end(rows->insert->stream);
}

/* Values are printed, and rules judged, under the settings that the stream's worker has. */
static TupleTableSlot **
exec_batch(EState *estate, ResultRelInfo *result, TupleTableSlot **slots,
		   TupleTableSlot **plan_slots, int *count)
{
	Rows rows = {result->ri_FdwState, slots, *count};
	int level = NewGUCNestLevel();

	/* the guard's own ends with these rows */
	rows.insert->subtransaction = GetCurrentSubTransactionId();
	run_apply_neutral_settings();
	catalog_pin_search_path();
	guard_run(write_rows, &rows);
	AtEOXact_GUC(true, level);
	return slots;
}

static TupleTableSlot *
exec_insert(EState *estate, ResultRelInfo *result, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	int count = 1;

	exec_batch(estate, result, &slot, &plan_slot, &count);
	return slot;
}

/* A trigger may look at what came before its row.  The executor keeps two copies of all rows of a batch. */
static int
batch_size(ResultRelInfo *result)
{
	const TriggerDesc *triggers = result->ri_TrigDesc;
	const Insert *insert = result->ri_FdwState;

	if (insert == NULL ||
		(triggers && (triggers->trig_insert_before_row || triggers->trig_insert_after_row)))
		return 1;
	return Max(1, Min(ROWS_AT_ONCE, BYTES_AT_ONCE / insert->stream->max_message_bytes));
}

static void
end_insert(EState *estate, ResultRelInfo *result)
{
	Insert *insert = result->ri_FdwState;

	if (insert == NULL || insert->producer == NULL)
		return;
	kafka_producer_finish(insert->producer);
	close_insert(insert);
}

static void
explain_modify(ModifyTableState *state, ResultRelInfo *result, List *private, int subplan,
			   ExplainState *explain)
{
	ExplainPropertyText(
		"Topic", stream_option(RelationGetRelid(result->ri_RelationDesc), "topic", ""), explain);
}

static int
updatable(Relation rel)
{
	return 1 << CMD_INSERT;
}

void
modify_set_routines(FdwRoutine *routine)
{
	routine->PlanForeignModify = plan_modify;
	routine->BeginForeignModify = begin_modify;
	routine->ExecForeignInsert = exec_insert;
	routine->ExecForeignBatchInsert = exec_batch;
	routine->GetForeignModifyBatchSize = batch_size;
	routine->EndForeignModify = end_insert;
	routine->BeginForeignInsert = begin_foreign_insert;
	routine->EndForeignInsert = end_insert;
	routine->IsForeignRelUpdatable = updatable;
	routine->ExplainForeignModify = explain_modify;
}
