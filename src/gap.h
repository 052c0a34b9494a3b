/*
 * gap.h - offsets that are passed over though records stood there: streamagg.gaps.
 */
#ifndef STREAMAGG_GAP_H
#define STREAMAGG_GAP_H

#include "progress.h"

/* Kinds. */
#define GAP_LOST "lost"		  /* deleted before they were read */
#define GAP_SKIPPED "skipped" /* by seek() or skip() */
#define GAP_REPLACED                                                                               \
	"replaced" /* the log is another one: where it was left, where it is read from */

/* Offsets that skip() was told of and no batch has passed yet. */
typedef struct Skip
{
	int32 partition;
	int64 first;
	int64 next;
	char *reason; /* NULL: none was given */
} Skip;

/* The stream's skips in a context, as a List of Skip; inside a catalogue's scope. */
extern List *gap_load_skips(Oid stream, MemoryContext context);
/* The one that the offset is in, or NULL. */
extern const Skip *gap_find_skip(const Progress *progress, int32 partition, int64 offset);
/* Adds one; offsets that are skipped already stay so. */
extern void gap_add_skip(Oid stream, const Skip *skip);

/* The partition goes on at next, and what is between counts as lost; written by gap_store. */
extern void gap_pass(Progress *progress, Partition *partition, int64 next, const char *kind,
					 const char *reason);
/* A row without anything counted. */
extern void gap_note(Progress *progress, const Partition *partition, int64 next, const char *kind,
					 const char *reason);

/* Writes what was passed, and forgets the skips that are behind; inside a catalogue's scope. */
extern void gap_store(const Progress *progress);

#endif
