/*
 * refuse.c - what becomes of a record that is no row: quarantine, nothing, or the end of the batch.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "quarantine.h"
#include "refuse.h"
#include "streamagg.h"

static void
stop_stream(const Ingest *ingest, const Record *record, const RecordFault *fault)
{
	const Stream *stream = ingest->stream;
	const char *topic = stream->topic ? psprintf("topic \"%s\" ", stream->topic) : "";

	ereport(ERROR,
			(errcode(fault->code),
			 errmsg("stream \"%s\", %spartition %d offset " INT64_FORMAT ": %s", stream->name,
					topic, record->partition, record->offset, record_fault_reason(fault)),
			 errhint("The stream's options on_decode_error and on_violation say what "
					 "becomes of such records.")));
}

static void
quarantine(Ingest *ingest, const Record *record, const RecordFault *fault, Datum *values,
		   bool *isnull)
{
	MemoryContext old = MemoryContextSwitchTo(ingest->scratch);
	List *rules;
	Datum document = record_redact(ingest->stream, record, fault, values, isnull, &rules);

	quarantine_add(ingest->quarantine, record, fault, document, rules);
	MemoryContextSwitchTo(old);
	MemoryContextReset(ingest->scratch);
}

static OptionPolicy
policy(const Ingest *ingest, const RecordFault *fault)
{
	if (ingest->again)
		return POLICY_QUARANTINE;
	return strcmp(fault->stage, "decode") == 0 ? ingest->stream->on_decode_error
											   : ingest->stream->on_violation;
}

void
refuse_record(Ingest *ingest, const Record *record, const RecordFault *fault, Datum *values,
			  bool *isnull)
{
	Counters *counters = &progress_find(ingest->progress, record->partition)->batch;

	switch (policy(ingest, fault))
	{
		case POLICY_STOP:
			stop_stream(ingest, record, fault);
			break;
		case POLICY_DROP:
			counters->dropped++;
			break;
		case POLICY_QUARANTINE:
			counters->quarantined++;
			quarantine(ingest, record, fault, values, isnull);
			break;
	}
}
