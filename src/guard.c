/*
 * guard.c - one subtransaction around many steps.
 *
 * A subtransaction a record would cost more than the record.  So there is one around all of them,
 * and only when a step fails it is rolled back and begun anew: steps that write nothing lose nothing
 * by that.  Who calls it: the feed of a batch (conversions, CHECKs), and its aggregation.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guard.h"

static bool guarding = false;
static uint64 generation = 0;

static void
begin(MemoryContext context)
{
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
}

static void
roll_back(MemoryContext context)
{
	generation++;
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
}

/* Errors inside a guard end it here, whatever its body has begun anew meanwhile. */
static void
raise_again(MemoryContext context, ResourceOwner owner)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	roll_back(context);
	CurrentResourceOwner = owner;
	ReThrowError(error);
}

void
guard_run(GuardStep body, void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool before = guarding; /* a trigger of a state table may push into another stream */

	begin(context);
	guarding = true;
	PG_TRY();
	{
		body(argument);
	}
	PG_CATCH();
	{
		guarding = before;
		raise_again(context, owner);
	}
	PG_END_TRY();
	guarding = before;
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

ErrorData *
guard_catch(GuardStep body, void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool before = guarding;
	ErrorData *error = NULL;

	begin(context);
	guarding = false;
	PG_TRY();
	{
		body(argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		roll_back(context);
	}
	PG_END_TRY();
	guarding = before;
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

int
guard_try(GuardStep step, void *argument, bool (*is_fault)(int code))
{
	MemoryContext context = CurrentMemoryContext;
	volatile int code = 0;

	Assert(guarding);
	PG_TRY();
	{
		step(argument);
	}
	PG_CATCH();
	{
		code = geterrcode();
		if (!is_fault(code))
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	if (code)
	{
		roll_back(context);
		begin(context);
	}
	return code;
}

void
guard_undo(void)
{
	MemoryContext context = CurrentMemoryContext;

	Assert(guarding);
	roll_back(context);
	begin(context);
}

uint64
guard_generation(void)
{
	return generation;
}
