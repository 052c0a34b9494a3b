/*
 * events_login.c - user logins, some of them broken on purpose.  Called by generate.c.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "chance.h"
#include "events.h"

#define DISORDER_SECONDS 30

/* The fields of an event as they are written. */
typedef struct Event
{
	char user_id[UUID_SIZE];
	char ip[16];
	char device_id[12];
	const char *app_version;
	const char *device_type;
	char locale[3];
	char timestamp[24];
	bool nested;
} Event;

/* What belongs to a user stays the same over all of the user's events. */
static void
make_user(Event *event, uint64_t seed, uint64_t user)
{
	uint64_t state = random_of(seed, 1, user);
	uint64_t address;
	unsigned device;

	write_uuid(event->user_id, &state);
	address = next_random(&state);
	device = (unsigned) below(&state, 1000000000);
	snprintf(event->ip, sizeof(event->ip), "%u.%u.%u.%u", 1 + (unsigned) (address & 0xff) % 223,
			 (unsigned) (address >> 8) & 0xff, (unsigned) (address >> 16) & 0xff,
			 (unsigned) (address >> 24) & 0xff);
	snprintf(event->device_id, sizeof(event->device_id), "%03u-%02u-%04u", device / 1000000,
			 device / 10000 % 100, device % 10000);
}

static void
make_event(Event *event, const Mix *mix, uint64_t number)
{
	static const char *const versions[] = {"2.0.0", "2.1.0", "2.2.1", "2.3.0", "3.0.1"};
	static const char *const devices[] = {"android", "ios", "web"};
	uint64_t state = random_of(mix->seed, 2, number);
	uint64_t second = FIRST_SECOND + number / EVENTS_PER_SECOND;
	unsigned locale = (unsigned) below(&state, 50);

	make_user(event, mix->seed, below(&state, mix->users));
	event->app_version = versions[below(&state, 5)];
	event->device_type = devices[below(&state, 3)];
	event->locale[0] = (char) ('A' + locale / 5);
	event->locale[1] = "KLMNR"[locale % 5];
	event->locale[2] = '\0';
	if (share(&state) < 0.1)
		second -= below(&state, DISORDER_SECONDS + 1);
	snprintf(event->timestamp, sizeof(event->timestamp), "%" PRIu64, second);
	event->nested = share(&state) < mix->nested;
}

static Kind
choose_kind(const Mix *mix, uint64_t number)
{
	uint64_t state = random_of(mix->seed, 3, number);
	double draw = share(&state);

	for (Kind kind = GOOD + 1; kind < KINDS; kind++)
	{
		if (draw < mix->shares[kind])
			return kind;
		draw -= mix->shares[kind];
	}
	return GOOD;
}

static void
break_event(Event *event, Kind kind, uint64_t number)
{
	switch (kind)
	{
		case MISSING:
			event->device_type = NULL;
			break;
		case WRONG_TYPE:
			if (number % 2)
				event->user_id[35] = '\0';
			else
				snprintf(event->timestamp, sizeof(event->timestamp), "yesterday");
			break;
		case CHECK:
			event->device_type = "toaster";
			break;
		default:
			break;
	}
}

/* Writes the document; returns its length. */
static size_t
write_document(const Event *event, char *text)
{
	char device[40] = "";

	if (event->device_type)
		snprintf(device, sizeof(device), "\"device_type\":\"%s\",", event->device_type);
	return (size_t) snprintf(
		text, EVENT_MAX,
		"{\"user_id\":\"%s\",\"app_version\":\"%s\",%s\"ip\":\"%s\",\"locale\":\"%s\","
		"\"device_id\":\"%s\",%s\"timestamp\":\"%s\"}",
		event->user_id, event->app_version, device, event->ip, event->locale, event->device_id,
		event->nested ? "\"geo\":{\"lat\":52.5,\"lon\":13.4,\"tags\":[\"a\",\"b\"]}," : "",
		event->timestamp);
}

static size_t
write_login(const Mix *mix, uint64_t number, char *text, uint64_t *tallies)
{
	Kind kind = choose_kind(mix, number);
	Event event;
	size_t length;

	make_event(&event, mix, number);
	break_event(&event, kind, number);
	length = write_document(&event, text);
	if (kind == NOT_JSON)
	{
		uint64_t state = random_of(mix->seed, 5, number);

		length = 1 + below(&state, length - 1);
	}
	tallies[kind]++;
	return length;
}

const Source login_events = {
	.name = "login",
	.tallies = {"good", "not_json", "missing", "wrong_type", "check"},
	.write = write_login,
};
