/*
 * standing.c - rates, and brokers that cannot be reached, in the stream's slot for everybody to see.
 */
#include "postgres.h"

#include "reader.h"
#include "standing.h"
#include "streamagg.h"

#define RATE_WINDOW_MS 2000
#define TROUBLE_MS 15000
#define HEALTHY_MS 60000

void
standing_report_rate(Standing *standing, StreamSlot *slot)
{
	double now = reader_clock();
	double elapsed = now - standing->window_start;

	if (elapsed < RATE_WINDOW_MS)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->rows_per_second = standing->rows * 1000.0 / elapsed;
	slot->busy = Min(standing->busy_ms / elapsed, 1.0);
	if (now - standing->started > HEALTHY_MS)
		slot->failures = 0;
	LWLockRelease(shared->lock);
	standing->window_start = now;
	standing->busy_ms = 0;
	standing->rows = 0;
}

static void
set_state(StreamSlot *slot, SlotState state, const char *code, const char *reason)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared_set_state(slot, state, code, reason);
	LWLockRelease(shared->lock);
}

void
standing_prove(Standing *standing, StreamSlot *slot)
{
	if (!standing->proved && !standing->in_trouble)
		set_state(slot, SLOT_RUNNING, NULL, NULL);
	standing->proved = true;
}

/* The library keeps trying by itself; people must see that it does. */
void
standing_report_trouble(Standing *standing, StreamSlot *slot, const char *stream,
						const char *trouble)
{
	if (trouble == NULL)
	{
		standing->trouble_since = 0;
		if (standing->in_trouble)
			set_state(slot, SLOT_RUNNING, NULL, NULL);
		standing->in_trouble = false;
		return;
	}
	if (standing->trouble_since == 0)
		standing->trouble_since = reader_clock();
	if (reader_clock() - standing->trouble_since < TROUBLE_MS || standing->in_trouble)
		return;
	standing->in_trouble = true;
	set_state(slot, SLOT_BACKOFF, "08006", trouble);
	ereport(LOG, (errmsg("stream \"%s\": %s", stream, trouble)));
}

void
standing_report_waiting(StreamSlot *slot, const char *what)
{
	if (slot->state != SLOT_RUNNING || strcmp(slot->reason, what) == 0)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	strlcpy(slot->reason, what, sizeof(slot->reason));
	LWLockRelease(shared->lock);
}
