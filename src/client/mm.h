/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of an address space: the process has exited or executed another program, and nobody else lives in it. Who has
 * given it something that is to go with it watches.
 */
#ifndef IOMMUSE_CLIENT_MM_H
#define IOMMUSE_CLIENT_MM_H

#include "client/client.h"

struct mm_watch {
	/* Called once, possibly under locks of who has found it out: takes leaf locks only and does not wait. It may
	 * not unwatch. */
	void (*gone)(struct mm_watch *watch);
	struct mm_watch *next, **link; /* link NULL: it is not watching */
};

/* The caller holds a reference to mm until mm_unwatch(), which returns when gone() neither runs nor will. Returns
 * false where it is gone already: gone() is not called then. */
bool mm_watch(struct mm *mm, struct mm_watch *watch);
void mm_unwatch(struct mm *mm, struct mm_watch *watch);

/* By who has found out. May be called again. */
void mm_announce_gone(struct mm *mm);

static inline bool mm_is_gone(const struct mm *mm)
{
	return atomic_load_explicit(&mm->gone, memory_order_acquire);
}

/* Are they the same memory? Two processes may live in one (CLONE_VM). b is the address space of a client, in a call.
 * Without locks: who has a is asked where it is of the same family. */
static inline bool mm_same(struct mm *a, struct mm *b)
{
	return a == b || (a->ops == b->ops && a->ops->same && a->ops->same(a, b));
}

#endif
