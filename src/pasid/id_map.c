/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/id_map.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

int id_map_init(struct id_map *map, unsigned bits)
{
	const uint32_t size = UINT32_C(1) << bits;
	uint32_t total = 0;

	map->levels = 0;
	for (uint32_t n = size;; n = map->words[map->levels - 1]) {
		map->words[map->levels] = n / 64 + (n % 64 ? 1 : 0);
		total += map->words[map->levels++];
		if (n <= 64)
			break;
	}
	map->word[0] = calloc(total, sizeof(*map->word[0]));
	if (!map->word[0])
		return -ENOMEM;
	for (unsigned level = 1; level < map->levels; level++)
		map->word[level] = map->word[level - 1] + map->words[level - 1];
	/* What is beyond the end of a level counts as taken. As the size is a power of two, that is in one word only.
	 */
	for (uint32_t level = 0, n = size; level < map->levels; n = map->words[level++])
		if (n < 64)
			*map->word[level] = UINT64_MAX << n;
	return 0;
}

void id_map_fini(struct id_map *map)
{
	free(map->word[0]);
}

bool id_map_find(const struct id_map *map, uint32_t min, uint32_t *id)
{
	uint32_t at = min;
	unsigned level = 0;
	uint64_t left;

	for (;; level++, at = at / 64 + 1) {
		if (level == map->levels || at / 64 >= map->words[level])
			return false;
		left = ~map->word[level][at / 64] & UINT64_MAX << at % 64;
		if (left)
			break;
	}
	at = at / 64 * 64 + (uint32_t)__builtin_ctzll(left);
	while (level--)
		at = at * 64 + (uint32_t)__builtin_ctzll(~map->word[level][at]);
	*id = at;
	return true;
}
