/* SPDX-License-Identifier: BSD-3-Clause */
#include "hwpt/driver.h"

#include "client/client.h"

int user_data_copy(const struct user_data *data, uint32_t type, void *to, size_t size, size_t min)
{
	if (data->type != type || data->length < min || data->length > size)
		return -EINVAL;
	memset((char *)to + data->length, 0, size - data->length);
	return client_copy_in(data->client, to, data->at, data->length);
}

int user_array_copy(const struct user_array *array, uint32_t index, uint32_t type, void *to, size_t size, size_t min)
{
	const struct user_data entry = {
		.client = array->client,
		.type = array->type,
		.length = array->entry_length,
		.at = uaddr_add(array->at, (uint64_t)array->entry_length * index),
	};

	return user_data_copy(&entry, type, to, size, min);
}

/* Is what an entry has beyond the structure zero? Returns 0, -E2BIG or -EFAULT, whichever is met first. */
static int check_tail(struct client *client, uaddr_t at, size_t n)
{
	unsigned char tail[PAGE_SIZE];
	size_t got;

	if (n > sizeof(tail))
		return -EINVAL;
	got = client_read(client, tail, at, n);
	for (size_t i = 0; i < got; i++)
		if (tail[i])
			return -E2BIG;
	return got < n ? -EFAULT : 0;
}

int user_array_copy_all(const struct user_array *array, uint32_t type, void *to, size_t size)
{
	const size_t length = array->entry_length;
	const size_t head = length < size ? length : size;

	if (array->type != type || !array->count)
		return -EINVAL;
	if (length == size)
		return client_copy_in(array->client, to, array->at, size * array->count);
	for (uint32_t i = 0; i < array->count; i++) {
		const uaddr_t at = uaddr_add(array->at, (uint64_t)length * i);
		char *entry = (char *)to + size * i;
		int rc = length > size ? check_tail(array->client, uaddr_add(at, size), length - size) : 0;

		if (rc)
			return rc;
		memset(entry + head, 0, size - head);
		rc = client_copy_in(array->client, entry, at, head);
		if (rc)
			return rc;
	}
	return 0;
}
