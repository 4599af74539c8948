/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/dmabuf.h"

#include <errno.h>
#include <stddef.h>

int dmabuf_join(struct dmabuf *dmabuf, struct dmabuf_importer *importer)
{
	int rc = 0;

	pthread_mutex_lock(&dmabuf->lock);
	if (dmabuf->revoked) {
		rc = -ENODEV;
	} else {
		importer->next = dmabuf->importers;
		importer->link = &dmabuf->importers;
		if (importer->next)
			importer->next->link = &importer->next;
		dmabuf->importers = importer;
	}
	pthread_mutex_unlock(&dmabuf->lock);
	return rc;
}

void dmabuf_leave(struct dmabuf *dmabuf, struct dmabuf_importer *importer)
{
	pthread_mutex_lock(&dmabuf->lock);
	*importer->link = importer->next;
	if (importer->next)
		importer->next->link = importer->link;
	pthread_mutex_unlock(&dmabuf->lock);
}

static void tell(struct dmabuf_importer *first)
{
	for (struct dmabuf_importer *i = first; i; i = i->next) {
		i->told = !i->hide;
		i->revoke(i);
	}
	for (struct dmabuf_importer *i = first; i; i = i->next) {
		if (i->told)
			continue;
		i->hide(i);
		for (struct dmabuf_importer *other = i; other; other = other->next)
			other->told |= other->user == i->user;
	}
}

void dmabuf_revoke(struct dmabuf *dmabuf, bool revoked)
{
	pthread_mutex_lock(&dmabuf->lock);
	if (revoked && !dmabuf->revoked)
		tell(dmabuf->importers);
	dmabuf->revoked = revoked;
	pthread_mutex_unlock(&dmabuf->lock);
}
