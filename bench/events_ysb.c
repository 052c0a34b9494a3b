/*
 * events_ysb.c - events of the Yahoo Streaming Benchmark: what users do with advertisements.
 *
 * An advertisement's id follows from its number by a formula that ysb.sql computes, too.  Called
 * by generate.c.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "chance.h"
#include "events.h"

#define ADS 1000
#define PAGES 1000

enum
{
	ALL,
	FIRST_TYPE /* the event types follow in the order of their names */
};

static size_t
write_ysb(const Mix *mix, uint64_t number, char *text, uint64_t *tallies)
{
	static const char *const ad_types[] = {"banner", "modal", "sponsored-search", "mail", "mobile"};
	uint64_t state = random_of(mix->seed, 12, number);
	uint64_t user = random_of(mix->seed, 11, below(&state, mix->users));
	uint64_t page = random_of(mix->seed, 10, below(&state, PAGES));
	uint64_t ad = below(&state, ADS);
	unsigned type = (unsigned) below(&state, 3);
	uint64_t address = next_random(&state);
	char user_id[UUID_SIZE];
	char page_id[UUID_SIZE];

	write_uuid(user_id, &user);
	write_uuid(page_id, &page);
	tallies[ALL]++;
	tallies[FIRST_TYPE + type]++;
	return (size_t) snprintf(text, EVENT_MAX,
							 "{\"user_id\":\"%s\",\"page_id\":\"%s\",\"ad_id\":\"%08" PRIx32
							 "-0000-4000-8000-%012" PRIx64
							 "\",\"ad_type\":\"%s\",\"event_type\":\"%s\",\"event_time\":\"%" PRIu64
							 "\",\"ip_address\":\"%u.%u.%u.%u\"}",
							 user_id, page_id, (uint32_t) (ad * UINT64_C(2654435761)), ad,
							 ad_types[below(&state, 5)], ysb_events.tallies[FIRST_TYPE + type],
							 FIRST_SECOND * UINT64_C(1000) + number * 1000 / EVENTS_PER_SECOND,
							 1 + (unsigned) (address & 0xff) % 223,
							 (unsigned) (address >> 8) & 0xff, (unsigned) (address >> 16) & 0xff,
							 (unsigned) (address >> 24) & 0xff);
}

const Source ysb_events = {
	.name = "ysb",
	.tallies = {"good", "view", "click", "purchase"},
	.write = write_ysb,
};
