/*
 * reader.h - a worker's view of its topic: which partitions, how far, idle since when.
 */
#ifndef STREAMAGG_READER_H
#define STREAMAGG_READER_H

#include "ingest.h"
#include "kafka/consumer.h"
#include "stream.h"

typedef struct ReaderPartition
{
	int64 next_offset; /* as committed, these four */
	int64 high_offset;
	Fingerprint last;
	bool idle;
	int last_number; /* of the last record taken; -1: none */
	bool at_end;
	bool is_confirmed;	 /* a broker says that there is no more, since idle_timeout was over */
	double at_end_since; /* monotonic milliseconds */
	double short_since;	 /* the same: the log ended before next_offset; 0: it did not */
	double heard;		 /* likewise: the last message or end */
} ReaderPartition;

typedef struct Reader
{
	KafkaConsumer *consumer;
	int count;
	ReaderPartition *partitions; /* 0 … count-1 */
	TimestampTz closing;		 /* as committed */
	TimestampTz highest;		 /* event time, as committed */
	int64 batch;				 /* as committed */
	double all_idle_since;		 /* monotonic milliseconds; 0: not all are */
	double looked_for_partitions;
	int missing;	/* times in a row that the topic was not there */
	double asked;	/* since when brokers owe an answer; 0: they do not */
	double heard;	/* the last of anything */
	int leaderless; /* a partition without a leader; -1: none */
	bool is_quiet;	/* the last look found nothing */
	int noted;		/* messages taken and looked at since the last batch */
} Reader;

/* Monotonic milliseconds. */
extern double reader_clock(void);

/* Opens the topic.  Outside a transaction; errors as kafka/consumer.h. */
extern Reader *reader_open(const Stream *stream, int max_messages);

/*
 * Finds partitions that are not known yet, from the brokers, and assigns all.  Inside a batch's
 * transaction; new ones are added to its progress.
 */
extern void reader_assign(Reader *reader, const Stream *stream, Ingest *ingest);
/*
 * Whether the topic has another number of partitions than are assigned; asks at most every few seconds.
 * Raises 42704 when the topic is gone.
 */
extern bool reader_has_changed(Reader *reader, const Stream *stream);
/* Why nothing, or not everything, can be read just now; NULL when all is well as far as known. */
extern const char *reader_trouble(const Reader *reader);

typedef enum ReaderFound
{
	READER_NOTHING = 0,
	READER_TOOK = 1,	   /* messages; there may be more at once */
	READER_COMMITTABLE = 2 /* something to commit is among them */
} ReaderFound;

/*
 * Takes messages, without waiting, and notes which partitions they end; a set of the bits above.
 * Errors: 22000 when the log is not the one that was read.
 */
extern int reader_take(Reader *reader, const Stream *stream);
/* Into a batch's progress: ends of the partitions, and their last records' fingerprints. */
extern void reader_note_ends(const Reader *reader, const Stream *stream, Progress *progress);
/* After a connection was lost: all partitions anew, each from its last record on. */
extern void reader_look_again(Reader *reader);
/* All partitions are read to their ends. */
extern bool reader_is_at_end(const Reader *reader);

/* After a batch, or instead of one: what was taken is given back. */
extern void reader_release(Reader *reader);

/* An end has moved behind what can be read: records of a transaction that is open. */
extern bool reader_is_pinned(const Reader *reader);
/* What a partition waits for, in words; empty when none does. */
extern void reader_tell_waiting(const Reader *reader, char *text, size_t size);

/* Partitions that have become idle, confirmed by the brokers; marks them in a batch's progress. */
extern bool reader_finds_idle(Reader *reader, const Stream *stream);
extern void reader_mark_idle(Reader *reader, Ingest *ingest, const Stream *stream);
/* All have been idle for close_after, and there is something to close. */
extern bool reader_closes_all(const Reader *reader, const Stream *stream);

/* Milliseconds until one of these may be true. */
extern long reader_next_look(const Reader *reader, const Stream *stream);

/* Another process wrote for this stream: 40001, its offsets are not ours any more. */
extern void reader_fence(const Reader *reader, const Ingest *ingest);

/* Just before commit: what will be committed; should the commit fail, the process ends. */
extern void reader_committed_prepare(Reader *reader, const Progress *progress, TimestampTz closing);

#endif
