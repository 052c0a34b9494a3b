/*
 * events.h - the kinds of events that generate.c can fill a topic with.
 *
 * An event is made from the seed and its number alone, and what breaks it from a draw of its own:
 * two topics of the same seed differ in nothing but their broken records.
 */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#define EVENT_MAX 512			/* bytes of a document, with room to spare */
#define EVENTS_PER_SECOND 10000 /* of event time */
#define FIRST_SECOND 1694479551 /* event time of the first event */
#define TALLIES 5
#define UUID_SIZE 37

/* What is wrong with a login event; each kind breaks one rule of login.sql. */
typedef enum Kind
{
	GOOD,
	NOT_JSON,	/* cut off: not the end of a document */
	MISSING,	/* no device_type, which is NOT NULL */
	WRONG_TYPE, /* a user_id that is no uuid, or a timestamp that is no time */
	CHECK,		/* a device_type that its CHECK does not know */
	KINDS
} Kind;

typedef struct Mix
{
	uint64_t seed;
	uint64_t users;		  /* that there are, each with an address */
	double shares[KINDS]; /* of the broken kinds */
	double nested;		  /* share with an extra nested field */
} Mix;

typedef struct Source
{
	const char *name;
	const char *tallies[TALLIES + 1]; /* what is counted; the first counts the sound events */
	/* Writes an event, counts it, returns its length. */
	size_t (*write)(const Mix *mix, uint64_t number, char *text, uint64_t *tallies);
} Source;

extern const Source login_events;
extern const Source ysb_events;

/* A random UUID of version 4. */
extern void write_uuid(char *text, uint64_t *state);

#endif
