/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client: whoever makes a call. Memory, files and rights come from here and from nowhere else.
 *
 * The three parts change independently (fork, exec, CLONE_VM, SCM_RIGHTS and IOAS_CHANGE_PROCESS each change one), so
 * they are separate: the address space (struct mm, counted, outlives the call), the descriptors, and the credentials.
 * A struct client itself lives as long as one call. Kinds: another process (supervisor/), this process checked
 * (bad pointers give -EFAULT), this process trusted (plain pointers).
 *
 * No lock may be held while calling client_copy_in, client_copy_out, client_read or the file functions:
 * a client can make them take for ever.
 */
#ifndef IOMMUSE_CLIENT_CLIENT_H
#define IOMMUSE_CLIENT_CLIENT_H

#include "base/types.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct account_user;
struct accounts;
struct client;
struct file;
struct memory_query;
struct memory_run;
struct mm_watch;

/* An address space: identity that outlives the reuse of a pid. Whoever maps memory holds a reference. */
struct mm {
	const struct mm_ops *ops;
	_Atomic unsigned refs;
	uint64_t serial;  /* never reused within a system */
	uint64_t process; /* the serial of the first that its process had: only execve gives it another one */
	pid_t pid;        /* the process that it was seen in first; for people to read */

	/* Locked memory; see client/account.h. accounts NULL: nothing is counted. */
	struct accounts *accounts;
	struct account_user *user;
	_Atomic uint64_t pinned, locked; /* pages: VmPin, and this system's part of VmLck */

	/* Its end; see client/mm.h. */
	_Atomic bool gone;
	pthread_mutex_t watch_lock; /* guards watches; what gone() takes is below it */
	struct mm_watch *watches;
};

/* What an address space can do beyond a call. Any thread may call these; no lock may be held while calling read or
 * write, as the memory's owner can make them take for ever. */
struct mm_ops {
	void (*release)(struct mm *mm);

	/*
	 * Finds the memory at va as pinning would, and holds it where it can be held. va and length are in whole pages,
	 * length > 0. Stores a run of at most length bytes, whose hold is the caller's. The query may be NULL. Returns
	 * 0, or -EFAULT: nothing is there, it may not be written (write), its kind cannot be pinned, or the address
	 * space is gone; -EOPNOTSUPP: fsdax; -ENOMEM, -ENFILE.
	 */
	int (*pin)(struct mm *mm, struct memory_query *query, uaddr_t va, uint64_t length, bool write,
		   struct memory_run *run);

	/* Copy memory as the process itself would access it; return how many bytes came before the first that cannot
	 * be. */
	size_t (*read)(struct mm *mm, void *dst, uaddr_t src, size_t n);
	size_t (*write)(struct mm *mm, uaddr_t dst, const void *src, size_t n);

	/*
	 * The same as the process's own instructions would: what it may not read or write is not, pages are faulted in,
	 * and copied where they are shared copy on write. Once it is gone nothing is. May be NULL: as read and write.
	 */
	size_t (*load)(struct mm *mm, void *dst, uaddr_t src, size_t n);
	size_t (*store)(struct mm *mm, uaddr_t dst, const void *src, size_t n);

	/* Is there a mapping at va that the process may read, or write? Does not wait for who serves its pages. NULL:
	 * load and store know. */
	bool (*may)(struct mm *mm, uaddr_t va, bool write);

	/* Is it the same memory as another address space of this kind? NULL: no. */
	bool (*same)(struct mm *mm, struct mm *other);

	/* RLIMIT_MEMLOCK of its process, in pages; UINT64_MAX: none. */
	uint64_t (*memlock_limit)(struct mm *mm);
};

static inline struct mm *mm_get(struct mm *mm)
{
	atomic_fetch_add_explicit(&mm->refs, 1, memory_order_relaxed);
	return mm;
}

static inline void mm_put(struct mm *mm)
{
	if (atomic_fetch_sub_explicit(&mm->refs, 1, memory_order_acq_rel) == 1)
		mm->ops->release(mm);
}

struct dmabuf;
struct file_region;
struct holds;

/* Memory to map that is a file of the client's (a memfd, hugetlbfs), or a dma-buf of ours. Counted. */
struct memory_file {
	_Atomic unsigned refs;
	int fd; /* a descriptor of this process for it; -1: no memory, or a dma-buf */
	void (*release)(struct memory_file *file); /* NULL: closes fd, frees the structure, which malloc() made */
	struct dmabuf *dmabuf;                     /* client/dmabuf.h; NULL: none */
	struct holds *holds; /* where its mappings are found again (client/holds.h), outlives it; NULL: nowhere */
};

void memory_file_put(struct memory_file *file);

struct client_ops {
	/*
	 * The client's addresses are this process's and good: they are used as they are. A read beyond what the client
	 * says that it has may crash, so nothing is read before it said so. read and copy_out are there as well.
	 */
	bool plain;
	/* Copies up to n bytes from the client's memory; returns how many came before the first that is not readable.
	 */
	size_t (*read)(struct client *client, void *dst, uaddr_t src, size_t n);
	/* Copies n bytes into the client's memory; 0 or -EFAULT, in which case a part may have been written. */
	int (*copy_out)(struct client *client, uaddr_t dst, const void *src, size_t n);

	/* The address space; borrowed, valid during the call. Never NULL. */
	struct mm *(*mm)(struct client *client);

	/* The file of ours behind fd, with a reference. -EBADF: no such descriptor, -EBADFD: not one of ours. */
	int (*file)(struct client *client, int fd, struct file **file);
	/* The file behind fd, as memory. -EBADF, -ENFILE, -ENOMEM. */
	int (*memory_file)(struct client *client, int fd, struct memory_file **file);
	/*
	 * A descriptor of this process, close-on-exec, for the eventfd behind fd. Returns 0; -EBADF: no such
	 * descriptor; -EINVAL: it is no eventfd; -ENFILE; -EPERM: the system forbids it, and a person was told.
	 */
	int (*eventfd)(struct client *client, int fd, int *own_fd);

	/*
	 * Gives the client a descriptor for a file in two steps, as the number is told to the client before the file is
	 * published: reserve returns the number (or -EMFILE, -ENFILE), then either install, which consumes a reference
	 * to the file and cannot fail but for a client that broke its own descriptor table (-EMFILE, the reference is
	 * then dropped), or unreserve.
	 *
	 * A file that has descriptors can get another one, and stays open from reserve on. -ENOENT: its last one has
	 * been closed, and file_ops->closed() was called before: the caller makes a new file.
	 */
	int (*fd_reserve)(struct client *client, struct file *file);
	int (*fd_install)(struct client *client, int fd, struct file *file, int o_flags);
	void (*fd_unreserve)(struct client *client, int fd, struct file *file);

	/*
	 * Makes [offset, offset + length) of one of our files memory that clients can map, whole pages, zeroed. The
	 * file must have a descriptor, or this call one reserved for it. The region is the caller's to release. Returns
	 * 0, -ENOMEM, -ENFILE.
	 */
	int (*region_new)(struct client *client, struct file *file, uint64_t offset, uint64_t length,
			  struct file_region **region);

	/*
	 * The address space of the process that the client knows by this number, with a reference, if the client may
	 * look into it as a debugger that attaches does (ptrace(2), "PTRACE_MODE_ATTACH_REALCREDS"). -ESRCH: there is
	 * no such process, or it has none; -EACCES: it may not; -EPERM: the client might, but we may not, and a person
	 * was told; -ENOMEM, -ENFILE.
	 */
	int (*find_mm)(struct client *client, pid_t pid, struct mm **mm);

	/* The path of its cgroup, as /proc/PID/cgroup has it. Returns 0; -EINVAL: it has none; -ENOENT: nobody has; or
	 * -errno: it cannot be told. */
	int (*cgroup)(struct client *client, char *path, size_t room);

	/* Does it have this CAP_* in the initial user namespace? */
	bool (*capable)(struct client *client, int cap);
};

struct client {
	const struct client_ops *ops;
	pid_t pid, tid; /* for people to read; in the pid namespace of this process */
	int fd;         /* the descriptor that the call came through, or -1; for people to read */
};

static inline size_t client_read(struct client *c, void *dst, uaddr_t src, size_t n)
{
	if (c->ops->plain) {
		memcpy(dst, (const void *)(uintptr_t)src.va, n);
		return n;
	}
	return c->ops->read(c, dst, src, n);
}

static inline int client_copy_in(struct client *c, void *dst, uaddr_t src, size_t n)
{
	return client_read(c, dst, src, n) == n ? 0 : -EFAULT;
}

static inline int client_copy_out(struct client *c, uaddr_t dst, const void *src, size_t n)
{
	if (c->ops->plain) {
		memcpy((void *)(uintptr_t)dst.va, src, n);
		return 0;
	}
	return c->ops->copy_out(c, dst, src, n);
}

static inline bool client_capable(struct client *c, int cap)
{
	return c->ops->capable(c, cap);
}

#endif
