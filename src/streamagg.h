/*
 * streamagg.h - what the whole extension shares: its settings and its name.
 */
#ifndef STREAMAGG_H
#define STREAMAGG_H

#define STREAMAGG_NAME "streamagg"
#define STREAMAGG_LIBRARY_VERSION "1.0"
#define STREAMAGG_WRAPPER "streamagg_kafka"

/*
 * Marks our messages, in every file that raises any: they hold names only, no value of a record; see
 * worker/failure.c.
 */
#undef TEXTDOMAIN
#define TEXTDOMAIN STREAMAGG_NAME

/* GUCs, described in _PG_init */
extern bool streamagg_enabled;
extern int streamagg_max_workers;
extern int streamagg_worker_memory;		  /* kB */
extern int streamagg_backfill_rate;		  /* rows a second; 0: any number */
extern int streamagg_hook_timeout;		  /* ms; 0: none */
extern int streamagg_quarantine_keep;	  /* minutes; 0: for ever */
extern int streamagg_quarantine_max_rows; /* of a stream; 0: any number */

/* True when shared_preload_libraries loaded the library, so that shared memory is there. */
extern bool streamagg_preloaded;

/* Raises 55000 with the exact setting to make where the library is not preloaded. */
extern void streamagg_require_preload(void);

#endif
