/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is told what becomes of PASIDs, of those of one set or of all: once for each transition.
 *
 * ALLOC: it is idle. BIND and UNBIND take turns: it is active in between, and its guest's number does not change.
 * FREE: its owner has freed it while others have references, which they are to drop; so its listeners may do what takes
 * time in ioasid_queue(). Nobody is told that an idle one is free again, nor of what was before he listened.
 */
#ifndef IOMMUSE_PASID_NOTIFY_H
#define IOMMUSE_PASID_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct ioasid_set;
struct ioasid_space;

enum ioasid_event {
	IOASID_EVENT_ALLOC = 1,
	IOASID_EVENT_FREE = 2,
	IOASID_EVENT_BIND = 3,
	IOASID_EVENT_UNBIND = 4,
};

struct ioasid_notice {
	struct ioasid_set *set;
	void *data;
	uint32_t id, spid; /* spid: IOASID_INVALID: none */
};

/* Who is told first: the highest. A processor must know a PASID before a device uses it. */
enum ioasid_priority {
	IOASID_PRIORITY_LAST,
	IOASID_PRIORITY_DEVICE,
	IOASID_PRIORITY_IOMMU,
	IOASID_PRIORITY_CPU,
};

struct ioasid_notifier {
	/* Called with the space's lock held. Of pasid/ it may use the functions that end in _locked, and
	 * ioasid_queue(). */
	void (*notify)(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice);
	enum ioasid_priority priority;

	/* Private. */
	struct ioasid_notifier *next, **list; /* list NULL: it is not listening */
	struct ioasid_set *set;
	uint64_t token; /* 0: of any set */
};

/* Listens to a set, which gets a reference, or to all (NULL). Returns 0; -EBUSY: it listens already, or the set has
 * PASIDs, of which it would not know; -ENOMEM, -EAGAIN: no thread for the queue. */
int ioasid_register_notifier(struct ioasid_space *space, struct ioasid_set *set, struct ioasid_notifier *notifier);

/* Listens to the sets of a token: the one there is, or else those to come. Also -EINVAL: no token. */
int ioasid_register_notifier_mm(struct ioasid_space *space, uint64_t token, struct ioasid_notifier *notifier);

/* When it returns, notify() neither runs nor will. Returns 0 or -ENOENT: it does not listen. */
int ioasid_unregister_notifier(struct ioasid_space *space, struct ioasid_notifier *notifier);

/* As ioasid_get() and ioasid_put(), for listeners. */
int ioasid_get_locked(struct ioasid_space *space, struct ioasid_set *set, uint32_t id);
bool ioasid_put_locked(struct ioasid_space *space, uint32_t id);

/* All zero but for run. */
struct ioasid_work {
	void (*run)(struct ioasid_work *work); /* without locks; may free the work */
	struct ioasid_work *next;              /* private, as what follows */
	bool queued;
};

/*
 * Has work done later, by a thread that is there since somebody listens: one after the other, in the order in which it
 * was queued. What it is about should be held by a reference until then. Returns false where it waits already.
 */
bool ioasid_queue(struct ioasid_space *space, struct ioasid_work *work);

/* Returns when all is done that was queued before. Not for work itself. */
void ioasid_flush(struct ioasid_space *space);

#endif
