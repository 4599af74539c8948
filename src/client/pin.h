/* SPDX-License-Identifier: BSD-3-Clause */
/* What mm->ops->pin does, for all address spaces that a /proc/PID/maps describes. */
#ifndef IOMMUSE_CLIENT_PIN_H
#define IOMMUSE_CLIENT_PIN_H

#include "client/client.h"
#include "client/memory.h"
#include "client/vma.h"

struct holds;
struct mounts;

/* Where an address space is looked at. */
struct pin_source {
	struct mm *mm;
	int maps;
	bool plain; /* its addresses are this process's, and may be used so */
	struct mounts *mounts;
	struct holds *holds;
	/*
	 * Is there memory behind the mapping, which the list of mappings does not tell: not beyond the end of a file,
	 * not in a device's, not in secret memory. The page stands for all before it. 0 or -EFAULT.
	 */
	int (*backed)(const struct pin_source *source, uint64_t page, bool write);
	/*
	 * Holds [va, va + length) of a shared mapping, and more of it if that is as easy. Returns 0, -EOPNOTSUPP: it
	 * cannot be held, -EFAULT, -ENOMEM, -ENFILE.
	 */
	int (*hold)(const struct pin_source *source, const struct vma *vma, uint64_t va, uint64_t length, bool write,
		    struct hold **hold);
};

/* Does the query have the answer already? Then it is stored, as mm->ops->pin stores it. Makes no system call. */
bool pin_known(const struct memory_query *query, struct mm *mm, uint64_t va, uint64_t length, bool write,
	       struct memory_run *run);

/* As mm->ops->pin. */
int pin_from(const struct pin_source *source, struct memory_query *query, uint64_t va, uint64_t length, bool write,
	     struct memory_run *run);

#endif
