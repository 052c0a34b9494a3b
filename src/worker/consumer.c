/*
 * consumer.c - the worker: one process a stream, all of its partitions.
 *
 * The loop takes what the library has read ahead, up to batch_interval or a full batch, and runs it
 * as one transaction: rows, quarantine, counters, offsets and watermarks together.  Between batches
 * it holds no transaction, no snapshot and no lock.  Errors end the process; failure.c says what
 * comes next, and the keeper starts it again.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "attempt.h"
#include "bad_share.h"
#include "catalog.h"
#include "compat.h"
#include "connection.h"
#include "consumer.h"
#include "definitions.h"
#include "failure.h"
#include "feed.h"
#include "reader.h"
#include "recover.h"
#include "settings.h"
#include "shared.h"
#include "standing.h"
#include "streamagg.h"

#define MAX_POISONED_BATCHES 10
#define TRIM_EVERY_MS 5000

typedef struct Worker
{
	StreamSlot *slot;
	Definitions definitions;
	Reader *reader;
	WaitEventSet *events;
	double commit_ms; /* of the last batch */
	Attempt attempt;
	BadShare share;
	bool catching_up;	   /* full batches since there was last nothing to do */
	TimestampTz next_hook; /* when windows wait for their command: see aggregate/close_hook.h */
	bool used_heap;		   /* batches since it was trimmed */
	double trimmed;		   /* when that was, as reader_clock */
	int poisoned_batches;  /* in a row, in which no row was accepted */
	Standing standing;
} Worker;

static Worker worker;

/* ---------------------------------------------------------------- transactions */

static void
begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	definitions_lock(&worker.definitions);
}

static void
commit(void)
{
	double start = reader_clock();

	PopActiveSnapshot();
	CommitTransactionCommand();
	worker.commit_ms = reader_clock() - start;
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* After a lack of memory or disk batches begin small and double, as long as they go well. */
static void
size_batch(bool went_well)
{
	int limit = worker.slot->batch_limit;

	if (limit > 0 && went_well)
		limit = limit < WORKER_MAX_BATCH / 2 ? limit * 2 : 0;
	worker.slot->batch_limit = limit;
	if (worker.attempt.limit > 0 && (limit == 0 || worker.attempt.limit < limit))
		limit = worker.attempt.limit;
	kafka_consumer_limit(worker.reader->consumer, limit);
}

/*
 * After the commit, so that what is wrong can be looked at in quarantine.  Batches of a single row
 * cannot tell whether an aggregate fails on that row or on every one: several in a row can.
 */
static void
judge_quality(const Counters *total, int poisoned)
{
	if (total->read == 0)
		return;
	bad_share_add(&worker.share, worker.definitions.stream, total);
	if (poisoned == 0 || total->accepted > 0)
		worker.poisoned_batches = 0;
	else if (++worker.poisoned_batches >= MAX_POISONED_BATCHES)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("stream \"%s\": its aggregates fail on every row of %d batches",
							   worker.definitions.stream->name, worker.poisoned_batches),
						errhint("streamagg.quarantine tells the aggregate and the SQLSTATE.")));
}

/* Behind the progress row: an aggregate may have been filled or exchanged meanwhile. */
static Ingest *
begin_batch(void)
{
	begin();
	for (;;)
	{
		Ingest *ingest = ingest_begin(worker.definitions.stream);

		ingest->aggregates = worker.definitions.aggregates;
		ingest->archive = worker.definitions.archive;
		AcceptInvalidationMessages();
		if (!definitions_are_stale())
			return ingest;
		ingest_leave(ingest);
		definitions_load(&worker.definitions);
	}
}

/* One transaction over what was taken, idle partitions marked; read_ms took how long. */
static void
run_one_batch(double read_ms)
{
	bool close_all = reader_closes_all(worker.reader, worker.definitions.stream);
	double start;
	Ingest *ingest;
	TimestampTz closing;
	Counters total;
	int poisoned;

	if (kafka_consumer_is_full(worker.reader->consumer))
	{
		kafka_consumer_nudge(worker.reader->consumer, worker.reader->count);
		worker.catching_up = true;
	}
	worker.slot->batch_size = kafka_consumer_count(worker.reader->consumer);
	worker.used_heap = true;
	attempt_mark(&worker.attempt, worker.definitions.stream, worker.slot, worker.reader->consumer);
	ingest = begin_batch();
	reader_fence(worker.reader, ingest);
	start = reader_clock();
	ingest_feed(ingest, feed_messages, worker.reader->consumer);
	ingest->times.decode_ms = reader_clock() - start;
	ingest->times.read_ms = read_ms;
	ingest->times.commit_ms = worker.commit_ms;
	reader_mark_idle(worker.reader, ingest, worker.definitions.stream);
	reader_note_ends(worker.reader, worker.definitions.stream, ingest->progress);
	closing = ingest_finish(ingest, close_all);
	worker.standing.rows += ingest->total.read;
	total = ingest->total;
	poisoned = ingest->poisoned;
	worker.next_hook = ingest->next_hook;
	reader_committed_prepare(worker.reader, ingest->progress, closing);
	attempt_succeed(&worker.attempt, worker.definitions.stream, worker.reader->consumer);
	commit();
	attempt_committed(&worker.attempt, worker.slot);
	size_batch(true);
	reader_release(worker.reader);
	judge_quality(&total, poisoned);
}

/* Of a batch without messages. */
static void
close_empty_batch(Ingest *ingest)
{
	TimestampTz closing = ingest_finish(ingest, false);

	worker.next_hook = ingest->next_hook;
	reader_committed_prepare(worker.reader, ingest->progress, closing);
	commit();
}

/* Partitions and offsets; new ones get their rows before the first record is read. */
static void
assign(void)
{
	Ingest *ingest = begin_batch();

	reader_assign(worker.reader, worker.definitions.stream, ingest);
	close_empty_batch(ingest);
}

/*
 * Partitions that gave no more: go on, or raise why not.  What was before is committed; what comes is for
 * another process.
 */
static void
recover(void)
{
	Recovery *recovery = recover_look(worker.reader, worker.definitions.stream);
	Ingest *ingest = begin_batch();

	reader_fence(worker.reader, ingest);
	recover_write(recovery, ingest);
	close_empty_batch(ingest);
	pfree(recovery);
	worker.slot->again = true;
}

/* ---------------------------------------------------------------- the loop */

static bool
shall_stop(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (connection_changed() && !worker.slot->stop)
		worker.slot->again = true;
	return worker.slot->stop || worker.slot->again || !streamagg_enabled;
}

/* Milliseconds until windows that wait for their command are due: 0: they are. */
static long
until_hook(void)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), worker.next_hook);
}

static void
sleep_until_something(long milliseconds)
{
	WaitEvent event;

	(void) WaitEventSetWait(worker.events, milliseconds, &event, 1, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	kafka_consumer_drain_socket(worker.reader->consumer);
}

/* Made once: the latch, the library's socket, and the end of the postmaster. */
static void
watch_events(void)
{
	worker.events = compat_create_wait_event_set(TopMemoryContext, 3);
	AddWaitEventToSet(worker.events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(worker.events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(worker.events, WL_SOCKET_READABLE,
					  kafka_consumer_socket(worker.reader->consumer), NULL, NULL);
}

/*
 * Collects until the batch is full or batch_interval has passed since its first record.  True when
 * there is something to commit.
 */
static bool
collect(double *first)
{
	bool committable = false;
	double end = 0;

	while (!shall_stop())
	{
		int found = reader_take(worker.reader, worker.definitions.stream);

		committable = committable || (found & READER_COMMITTABLE);
		if (committable && end == 0)
		{
			*first = reader_clock();
			end = *first + worker.definitions.stream->batch_interval / 1000.0;
		}
		if (committable &&
			(kafka_consumer_is_full(worker.reader->consumer) || reader_clock() >= end ||
			 kafka_consumer_is_interrupted(worker.reader->consumer)))
			return true;
		if (found & READER_TOOK)
			continue;
		if (!committable)
			return false;
		sleep_until_something((long) (end - reader_clock()) + 1);
	}
	/* what was taken but not committed will be read again */
	return false;
}

/* Brokers are asked for idle partitions however busy the others are. */
static bool
find_work(double *start)
{
	bool has_collected = collect(start);
	bool has_idle = reader_finds_idle(worker.reader, worker.definitions.stream);

	return has_collected || has_idle ||
		   reader_closes_all(worker.reader, worker.definitions.stream) ||
		   reader_is_pinned(worker.reader) || until_hook() == 0;
}

/* Nothing to do: memory goes back to the kernel, at once after much, else now and then. */
static void
rest(void)
{
	double now = reader_clock();

	if (!worker.used_heap || (!worker.catching_up && now - worker.trimmed < TRIM_EVERY_MS))
		return;
	worker.catching_up = worker.used_heap = false;
	worker.trimmed = now;
	settings_trim_heap();
}

static void
consume(void)
{
	assign();
	if (worker.slot->failures == 0)
		standing_prove(&worker.standing, worker.slot);
	while (!shall_stop())
	{
		double start = 0;
		char waiting[256];

		standing_report_trouble(&worker.standing, worker.slot, worker.definitions.stream->name,
								reader_trouble(worker.reader));
		AcceptInvalidationMessages();
		if (definitions_are_stale())
		{
			begin();
			commit();
		}
		reader_tell_waiting(worker.reader, waiting, sizeof(waiting));
		standing_report_waiting(worker.slot, waiting);
		if (reader_has_changed(worker.reader, worker.definitions.stream))
			assign();
		if (find_work(&start))
		{
			double collected = reader_clock();

			run_one_batch(start > 0 ? collected - start : 0);
			worker.standing.busy_ms += reader_clock() - collected;
			standing_prove(&worker.standing, worker.slot);
		}
		else
		{
			if (reader_is_at_end(worker.reader))
				standing_prove(&worker.standing, worker.slot);
			reader_release(worker.reader);
			rest();
			if (!kafka_consumer_is_interrupted(worker.reader->consumer))
				sleep_until_something(
					Min(reader_next_look(worker.reader, worker.definitions.stream), until_hook()));
		}
		if (kafka_consumer_failures(worker.reader->consumer) > 0)
			recover();
		else if (kafka_consumer_is_interrupted(worker.reader->consumer))
			reader_look_again(worker.reader);
		standing_report_rate(&worker.standing, worker.slot);
	}
}

/* ---------------------------------------------------------------- the process */

static void
detach(int code, Datum argument)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	worker.slot->pid = 0;
	worker.slot->latch = NULL;
	worker.slot->rows_per_second = 0;
	worker.slot->busy = 0;
	if (shared->suspect == MyProcPid)
		shared->suspect = 0;
	if (OidIsValid(worker.slot->database))
		shared_set_keepers_latch(worker.slot->database);
	ConditionVariableBroadcast(&shared->ended);
	LWLockRelease(shared->lock);
}

/* The library's threads end before the process does: exit() would pull the ground from under them. */
static void
close_reader(int code, Datum argument)
{
	if (worker.reader && worker.reader->consumer)
		kafka_consumer_destroy(worker.reader->consumer);
	worker.reader = NULL;
}

/* Behind all other ends of the process. */
static void
end_quietly(int code, Datum argument)
{
	if (kafka_threads_are_left())
		_exit(code);
}

/* False when the slot was given up meanwhile, or has a worker. */
static bool
attach(int number)
{
	StreamSlot *slot = &shared->slots[number];
	bool attached = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (slot->state != SLOT_FREE && slot->pid == 0 && slot->holders == 0 && !slot->stop)
	{
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		slot->next_retry = 0;
		slot->batch_size = 0;
		attached = true;
	}
	else if (slot->state != SLOT_FREE && slot->pid == 0)
		slot->again = true; /* stopped before it was up: no failure */
	LWLockRelease(shared->lock);
	worker.slot = slot;
	return attached;
}

/* As people write it: without the schema public. */
static char *
display_name(Oid stream)
{
	const char *schema = get_namespace_name(get_rel_namespace(stream));

	return strcmp(schema, "public") == 0 ? get_rel_name(stream) : stream_name(stream);
}

static void
open_stream(void)
{
	char *name;

	definitions_watch(&worker.definitions, worker.slot);
	begin();
	catalog_check_version();
	name = MemoryContextStrdup(TopMemoryContext, display_name(worker.slot->stream));
	SetConfigOption("application_name", name, PGC_USERSET, PGC_S_OVERRIDE);
	pgstat_report_appname(name);
	connection_watch(worker.definitions.stream->server, worker.definitions.stream->owner);
	/* the connection's properties are catalogue rows, so this needs the transaction, too */
	worker.reader = reader_open(worker.definitions.stream, WORKER_MAX_BATCH);
	attempt_load(&worker.attempt, worker.definitions.stream, worker.slot);
	commit();
	size_batch(false);
	watch_events();
}

void
streamagg_worker_main(Datum slot)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	if (!attach(DatumGetInt32(slot)))
		proc_exit(0);
	on_proc_exit(end_quietly, 0);
	before_shmem_exit(detach, 0);
	before_shmem_exit(close_reader, 0);
	BackgroundWorkerInitializeConnectionByOid(worker.slot->database, worker.slot->owner, 0);
	settings_apply();
	settings_share_heap();
	worker.standing.started = worker.standing.window_start = reader_clock();
	PG_TRY();
	{
		open_stream();
		consume();
	}
	PG_CATCH();
	{
		if (!worker.slot->stop)
			failure_handle(worker.slot, worker.definitions.stream ? worker.definitions.stream->name
																  : "of this worker");
		else
			FlushErrorState();
	}
	PG_END_TRY();
	proc_exit(0);
}
