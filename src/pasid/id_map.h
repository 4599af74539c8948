/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of the numbers below a power of two are taken. A tree of bits: one for each number, and above each 64 of them
 * one that says that all are taken. The lowest that is free is found in a step up and one down for each level. Memory
 * that no number was ever taken in is not touched.
 */
#ifndef IOMMUSE_PASID_ID_MAP_H
#define IOMMUSE_PASID_ID_MAP_H

#include <stdbool.h>
#include <stdint.h>

#define ID_MAP_LEVELS 4

struct id_map {
	uint64_t *word[ID_MAP_LEVELS]; /* word[0]: the numbers themselves */
	uint32_t words[ID_MAP_LEVELS];
	unsigned levels;
};

/* bits: at most 24. Returns 0 or -ENOMEM. */
int id_map_init(struct id_map *map, unsigned bits);
void id_map_fini(struct id_map *map);

/* The lowest free number that is not below min. Returns false where there is none. */
bool id_map_find(const struct id_map *map, uint32_t min, uint32_t *id);

static inline bool id_map_taken(const struct id_map *map, uint32_t id)
{
	return map->word[0][id / 64] >> id % 64 & 1;
}

static inline void id_map_take(struct id_map *map, uint32_t id)
{
	for (unsigned level = 0; level < map->levels; level++, id /= 64) {
		uint64_t *word = &map->word[level][id / 64];

		*word |= UINT64_C(1) << id % 64;
		if (*word != UINT64_MAX)
			break;
	}
}

static inline void id_map_release(struct id_map *map, uint32_t id)
{
	for (unsigned level = 0; level < map->levels; level++, id /= 64) {
		uint64_t *word = &map->word[level][id / 64];
		bool full = *word == UINT64_MAX;

		*word &= ~(UINT64_C(1) << id % 64);
		if (!full)
			break;
	}
}

#endif
