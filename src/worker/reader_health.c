/*
 * reader_health.c - whether a topic is as it was, and whether its brokers give what they have: asked and
 * looked at now and then, without waiting.
 */
#include "postgres.h"

#include "reader.h"
#include "streamagg.h"

#define DISCOVERY_MS 10000
#define MISSING_MS 3000
#define TIMES_MISSING 3
#define ANSWER_MS 3000
#define SILENCE_MS 12000

/* A broker that has just come up does not know of its topics yet: it is asked again. */
static void
raise_if_missing(Reader *reader, const Stream *stream)
{
	if (++reader->missing < TIMES_MISSING)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_UNDEFINED_OBJECT),
		 errmsg("stream \"%s\": topic \"%s\" does not exist any more", stream->name, stream->topic),
		 errhint("When it is made anew, streamagg.seek() tells where to read it from.")));
}

bool
reader_has_changed(Reader *reader, const Stream *stream)
{
	double now = reader_clock();
	KafkaPulse pulse;

	if (reader->asked == 0 &&
		now - reader->looked_for_partitions < (reader->missing > 0 ? MISSING_MS : DISCOVERY_MS))
		return false;
	if (reader->asked == 0)
		reader->asked = now;
	if (!kafka_consumer_feel_pulse(reader->consumer, &pulse) || !pulse.is_answered)
		return false;
	reader->asked = 0;
	reader->heard = reader->looked_for_partitions = now;
	reader->leaderless = pulse.leaderless;
	if (pulse.is_missing)
		raise_if_missing(reader, stream);
	if (pulse.partitions < 0)
		return false;
	if (pulse.partitions == reader->count && reader->missing > 0)
		reader_look_again(reader);
	reader->missing = 0;
	return pulse.partitions != reader->count;
}

/*
 * The library says nothing of a broker that takes everything and answers nothing, nor of partitions
 * without a leader, so the worker looks at what it hears itself.
 */
const char *
reader_trouble(const Reader *reader)
{
	static char text[300];
	const char *trouble = kafka_consumer_trouble(reader->consumer);
	double now = reader_clock();

	if (trouble)
	{
		snprintf(text, sizeof(text), "no broker can be reached: %s", trouble);
		return text;
	}
	if (reader->asked > 0 && now - reader->asked > ANSWER_MS && now - reader->heard > ANSWER_MS)
		return "the brokers do not answer";
	if (reader->leaderless >= 0)
	{
		snprintf(text, sizeof(text), "partition %d has no leader", reader->leaderless);
		return text;
	}
	if (!reader->is_quiet)
		return NULL;
	for (int i = 0; i < reader->count; i++)
		if (!reader->partitions[i].at_end && now - reader->partitions[i].heard > SILENCE_MS)
		{
			snprintf(text, sizeof(text), "nothing comes from partition %d", i);
			return text;
		}
	return NULL;
}
