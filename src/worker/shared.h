/*
 * shared.h - what launcher, keepers, workers and sessions tell each other: a small array in shared
 * memory, a lock, latches.
 */
#ifndef STREAMAGG_SHARED_H
#define STREAMAGG_SHARED_H

#include "datatype/timestamp.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

typedef enum SlotState
{
	SLOT_FREE,
	SLOT_STARTING,
	SLOT_RUNNING,
	SLOT_BACKOFF,
	SLOT_BLOCKED /* waits for something outside; looks now and then */
} SlotState;

/* A stream that shall run. */
typedef struct StreamSlot
{
	SlotState state;
	Oid database;
	Oid stream;
	Oid owner;
	TimestampTz since;
	TimestampTz next_retry; /* 0: none */
	int restarts;
	int failures; /* in a row */
	pid_t pid;	  /* of the worker; 0: none */
	Latch *latch;
	bool wanted;	 /* as the keeper last read it */
	bool again;		 /* the worker asks to be started anew at once */
	bool stop;		 /* the worker shall end after its batch … */
	int holders;	 /* … and stay ended while sessions hold it */
	bool survived;	 /* a batch is committed since the server crashed */
	int batch_size;	 /* records of the last batch that began */
	int batch_limit; /* records of a batch, while memory or disk are short; 0: none */
	double rows_per_second;
	double busy;
	char code[6];
	char reason[256];
} StreamSlot;

/* A database with a keeper, or in need of one. */
typedef struct DatabaseSlot
{
	Oid database; /* InvalidOid: free */
	pid_t pid;	  /* of the keeper; 0: none */
	Latch *latch;
	bool dirty;				/* what shall run has changed */
	bool touched;			/* and so has what streams may wait for */
	bool blocked;			/* DROP DATABASE or DROP EXTENSION is under way */
	TimestampTz next_retry; /* after a keeper failed */
} DatabaseSlot;

typedef struct Shared
{
	LWLock *lock; /* guards all below */
	pid_t launcher_pid;
	Latch *launcher_latch;
	ConditionVariable ended; /* a worker or keeper has ended */
	TimestampTz epoch;		 /* when this memory was made: after each crash anew */
	bool crashed;			 /* the server has, just before */
	pid_t suspect;			 /* the worker whose batch may crash it again; 0: none */
	int count;				 /* of slots, and of databases */
	DatabaseSlot *databases;
	StreamSlot slots[FLEXIBLE_ARRAY_MEMBER];
} Shared;

extern Shared *shared;

/* From _PG_init: asks for the memory. */
extern void shared_request(void);

/* All of these take the lock, or expect it where they say so. */
extern StreamSlot *shared_find_slot(Oid database, Oid stream);	/* locked */
extern StreamSlot *shared_claim_slot(Oid database, Oid stream); /* locked; NULL: full */
extern DatabaseSlot *shared_claim_database(Oid database);		/* locked; NULL: full */
extern DatabaseSlot *shared_find_database(Oid database);		/* locked */
extern void shared_set_state(StreamSlot *slot, SlotState state, const char *code,
							 const char *reason);	/* locked */
extern void shared_set_keepers_latch(Oid database); /* locked */
/* touched: somebody did what may help streams that wait. */
extern void shared_wake_keeper(Oid database, bool touched);
extern void shared_wake_launcher(void);

#endif
