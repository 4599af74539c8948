/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/space.h"

#include <errno.h>
#include <stdlib.h>

int ioasid_space_new(unsigned bits, struct ioasid_space **space)
{
	struct ioasid_space *new;

	if (!bits || bits > IOASID_BITS_MAX)
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->size = UINT32_C(1) << bits;
	new->capacity = new->size - 1;
	new->chunk = calloc((new->size - 1) / CHUNK_IDS + 1, sizeof(struct chunk *));
	if (!new->chunk)
		goto out_free;
	if (id_map_init(&new->taken, bits))
		goto out_free_chunk;
	id_map_take(&new->taken, 0);
	pthread_mutex_init(&new->lock, NULL);
	work_queue_init(&new->queue);
	*space = new;
	return 0;

out_free_chunk:
	free(new->chunk);
out_free:
	free(new);
	return -ENOMEM;
}

void ioasid_space_free(struct ioasid_space *space)
{
	work_queue_fini(&space->queue);
	for (uint32_t i = 0; i <= (space->size - 1) / CHUNK_IDS; i++)
		free(space->chunk[i]);
	free(space->spare);
	free(space->chunk);
	free(space->spids);
	id_map_fini(&space->taken);
	ioasid_cgroups_free(space);
	pthread_mutex_destroy(&space->lock);
	free(space);
}
