/*
 * chance.h - seeded chance: a number's draws depend on the seed, the purpose and the number alone.
 *
 * Included by generate.c and its events; no state is kept between numbers, so that a topic can be
 * made again, whole or in part.
 */
#ifndef BENCH_CHANCE_H
#define BENCH_CHANCE_H

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A generator of its own for each number of a purpose. */
static inline uint64_t
random_of(uint64_t seed, uint64_t purpose, uint64_t number)
{
	uint64_t state = seed * UINT64_C(0xd1342543de82ef95) + purpose;

	state = next_random(&state) + number;
	return next_random(&state);
}

static inline uint64_t
below(uint64_t *state, uint64_t limit)
{
	return (uint64_t) (((unsigned __int128) next_random(state) * limit) >> 64);
}

/* At least 0, less than 1. */
static inline double
share(uint64_t *state)
{
	return (double) (next_random(state) >> 11) / (double) (UINT64_C(1) << 53);
}

#endif
