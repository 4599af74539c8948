/* SPDX-License-Identifier: BSD-3-Clause */
/* What an owner keeps beside a PASID. */
#include "pasid/space.h"

#include <errno.h>

int ioasid_find_set(struct ioasid_space *space, uint32_t id, struct ioasid_set **set)
{
	const struct ioasid *record;

	pthread_mutex_lock(&space->lock);
	record = ioasid_record(space, id);
	if (record) {
		*set = record->set;
		(*set)->references++;
	}
	pthread_mutex_unlock(&space->lock);
	return record ? 0 : -ENOENT;
}

int ioasid_find(struct ioasid_space *space, struct ioasid_set *set, uint32_t id, bool (*getter)(void *data),
		void **data)
{
	struct ioasid *record;
	int rc;

	pthread_mutex_lock(&space->lock);
	rc = ioasid_find_record(space, set, id, &record);
	if (!rc) {
		*data = ioasid_more(record, id)->data;
		if (*data && getter && !getter(*data))
			*data = NULL;
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

int ioasid_attach_data(struct ioasid_set *set, uint32_t id, void *data)
{
	struct ioasid *record;
	int rc;

	pthread_mutex_lock(&set->space->lock);
	rc = ioasid_find_record(set->space, set, id, &record);
	if (!rc && (record->pending || ioasid_more(record, id)->data))
		rc = -EBUSY;
	if (!rc)
		ioasid_more(record, id)->data = data;
	pthread_mutex_unlock(&set->space->lock);
	return rc;
}

int ioasid_detach_data(struct ioasid_set *set, uint32_t id, void **data)
{
	struct ioasid *record;
	int rc;

	pthread_mutex_lock(&set->space->lock);
	rc = ioasid_find_record(set->space, set, id, &record);
	if (!rc && !ioasid_more(record, id)->data)
		rc = -ENOENT;
	if (!rc) {
		if (data)
			*data = ioasid_more(record, id)->data;
		ioasid_more(record, id)->data = NULL;
	}
	pthread_mutex_unlock(&set->space->lock);
	return rc;
}
