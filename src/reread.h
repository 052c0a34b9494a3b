/*
 * reread.h - single records of a stream's topic, read once more.
 */
#ifndef STREAMAGG_REREAD_H
#define STREAMAGG_REREAD_H

#include "record.h"

typedef struct RereadPlace
{
	int32 partition;
	int64 offset;
} RereadPlace;

/* A record that was found, of the place of this number; it is valid until the call returns. */
typedef void (*RereadTake)(const Record *record, int number, void *argument);

/*
 * Calls take for each of the places, which are sorted and different, whose record is still in the
 * topic, with the credentials of the stream's owner; partitions mix, within one offsets ascend.
 * Interruptible; nothing of the library is left however it ends.  Errors: those of kafka/consumer.h.
 */
extern void
reread(const Stream *stream, const RereadPlace *places, int count, RereadTake take, void *argument);

#endif
