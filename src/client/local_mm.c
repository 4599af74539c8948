/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared memory is held by a second mapping of it. Private memory cannot be: a trusted client's is used where it is,
 * and a checked client's is copied by the kernel, so that it is gone when the client unmaps it.
 */
#define _GNU_SOURCE
#include "client/local_mm.h"

#include "client/holds.h"
#include "client/mounts.h"
#include "client/pin.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

struct local_mm {
	struct mm mm;
	bool trusted;
	struct holds *holds;
	struct mounts mounts;
	pthread_mutex_t lock; /* guards what follows while it changes; a leaf */
	int maps;             /* /proc/self/maps of this process; -1: not open */
	/* Is maps this process's? A page of its own, which fork() gives to the child as zeroes; NULL: ask who we are.
	 */
	atomic_bool *ours;
	pid_t pid;
};

static struct local_mm *local_mm_of(struct mm *mm)
{
	return (struct local_mm *)mm;
}

/* Page by page, where the whole does not go. The addresses may be anybody's numbers, NULL as well. */
static size_t copy_pages(void *dst, const void *src, size_t n)
{
	size_t done = 0;

	while (done < n) {
		uintptr_t to = (uintptr_t)dst + done;
		uintptr_t from = (uintptr_t)src + done;
		size_t room = PAGE_SIZE - (from & ~PAGE_MASK);
		size_t room_to = PAGE_SIZE - (to & ~PAGE_MASK);
		size_t piece = n - done < room ? n - done : room;
		struct iovec local = {(void *)to, piece < room_to ? piece : room_to};
		struct iovec remote = {(void *)from, local.iov_len};

		if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)local.iov_len)
			break;
		done += local.iov_len;
	}
	return done;
}

/* The process's own number is asked for each time: after fork() it is another one. */
size_t local_mm_copy(void *dst, const void *src, size_t n)
{
	struct iovec local = {dst, n};
	struct iovec remote = {(void *)(uintptr_t)src, n};

	if (!n || process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)n)
		return n;
	return copy_pages(dst, src, n);
}

static bool maps_are_ours(const struct local_mm *mm)
{
	if (mm->ours)
		return atomic_load_explicit(mm->ours, memory_order_acquire);
	return mm->maps >= 0 && mm->pid == getpid();
}

/* A child may have closed its parent's descriptors: the number is not ours any more. With the lock held. */
static int open_maps(struct local_mm *mm)
{
	if (maps_are_ours(mm))
		return mm->maps;
	mm->maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	mm->pid = getpid();
	if (mm->maps >= 0 && mm->ours)
		atomic_store_explicit(mm->ours, true, memory_order_release);
	return mm->maps;
}

/* Returns a descriptor, or -ENFILE, or -EFAULT: there is no /proc. */
static int maps_of(struct local_mm *mm)
{
	int maps;

	/* Once they are ours, they do not change. */
	if (mm->ours && maps_are_ours(mm))
		return mm->maps;
	pthread_mutex_lock(&mm->lock);
	maps = open_maps(mm);
	pthread_mutex_unlock(&mm->lock);
	if (maps < 0)
		return errno == EMFILE || errno == ENFILE ? -ENFILE : -EFAULT;
	return maps;
}

static atomic_bool *page_of_process(void)
{
	void *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (!madvise(page, PAGE_SIZE, MADV_WIPEONFORK))
		return page;
	munmap(page, PAGE_SIZE);
	return NULL;
}

static int local_backed(const struct pin_source *source, uint64_t page, bool write)
{
	void *at = (void *)(uintptr_t)page;
	char byte;

	(void)source;
	if (!madvise(at, PAGE_SIZE, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ))
		return 0;
	/* EINVAL: memory that is none, or a kernel that cannot do it. */
	return errno == EINVAL && local_mm_copy(&byte, at, 1) ? 0 : -EFAULT;
}

/* Only files have an end that moves; shared anonymous memory can be neither opened nor cut. A file of such a name is
 * its owner's own fault. */
static bool can_be_cut(int maps, uint64_t va)
{
	char name[PATH_MAX];
	struct vma vma;

	return vma_find(maps, va, &vma, name, sizeof(name)) ||
	       (strcmp(name, "/dev/zero (deleted)") != 0 && strncmp(name, "/SYSV", 5) != 0);
}

/* Is the second mapping of what was asked about? Another thread may have mapped something else there meanwhile. */
static bool shows(int maps, const void *host, const struct hold_key *key)
{
	struct vma vma;

	return !vma_find(maps, (uintptr_t)host, &vma, NULL, 0) && vma.shared && vma.dev == key->dev &&
	       vma.ino == key->ino && vma.offset - key->offset == vma.start - (uint64_t)(uintptr_t)host &&
	       (vma.access & VMA_WRITE || !key->writable);
}

/* Maps the shared memory once more: as much of its mapping as lies in the windows that [va, va + length) touches. */
static int local_hold(const struct pin_source *source, const struct vma *vma, uint64_t va, uint64_t length, bool write,
		      struct hold **hold)
{
	uint64_t start = va & ~(HOLD_WINDOW - 1);
	uint64_t last = (va + length - 1) | (HOLD_WINDOW - 1);
	struct hold_key key;
	void *host;

	(void)write;
	start = start > vma->start ? start : vma->start;
	last = last < vma->last ? last : vma->last;
	key = (struct hold_key){
		.dev = vma->dev,
		.ino = vma->ino,
		.offset = vma->offset + (start - vma->start),
		.length = last - start + 1,
		.writable = vma->access & VMA_WRITE,
		.cut = !source->plain && can_be_cut(source->maps, va),
	};
	host = mremap((void *)(uintptr_t)start, 0, key.length, MREMAP_MAYMOVE);
	if (host == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	*hold = shows(source->maps, host, &key) ? holds_add(source->holds, &key, host) : NULL;
	if (*hold)
		return 0;
	munmap(host, key.length);
	return -EFAULT;
}

static int pin_anew(struct mm *mm, struct memory_query *query, uint64_t va, uint64_t length, bool write,
		    struct memory_run *run)
{
	struct local_mm *local = local_mm_of(mm);
	const struct pin_source source = {
		.mm = mm,
		.maps = maps_of(local),
		.plain = local->trusted,
		.mounts = &local->mounts,
		.holds = local->holds,
		.backed = local_backed,
		.hold = local_hold,
	};

	return source.maps < 0 ? source.maps : pin_from(&source, query, va, length, write, run);
}

static int local_pin(struct mm *mm, struct memory_query *query, uaddr_t va, uint64_t length, bool write,
		     struct memory_run *run)
{
	return pin_known(query, mm, va.va, length, write, run) ? 0 : pin_anew(mm, query, va.va, length, write, run);
}

static size_t trusted_mm_read(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	(void)mm;
	memcpy(dst, (const void *)(uintptr_t)src.va, n);
	return n;
}

static size_t trusted_mm_write(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	(void)mm;
	memcpy((void *)(uintptr_t)dst.va, src, n);
	return n;
}

static size_t checked_mm_read(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	(void)mm;
	return local_mm_copy(dst, (const void *)(uintptr_t)src.va, n);
}

static size_t checked_mm_write(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	(void)mm;
	return local_mm_copy((void *)(uintptr_t)dst.va, src, n);
}

/*
 * As a device does that shares the process's addresses: the kernel finds the pages, with the mappings' own protection
 * and without growing a stack, and copies up to the first that is not to be had. What is here is good.
 */
static size_t local_mm_load(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	const struct iovec to = {dst, n};
	const struct iovec from = {(void *)(uintptr_t)src.va, n};
	ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	(void)mm;
	return got < 0 ? 0 : (size_t)got;
}

static size_t local_mm_store(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	const struct iovec from = {(void *)(uintptr_t)src, n};
	const struct iovec to = {(void *)(uintptr_t)dst.va, n};
	ssize_t put = process_vm_writev(getpid(), &from, 1, &to, 1, 0);

	(void)mm;
	return put < 0 ? 0 : (size_t)put;
}

static bool local_mm_may(struct mm *mm, uaddr_t va, bool write)
{
	const int maps = maps_of(local_mm_of(mm));

	return maps >= 0 && !vma_check(maps, va.va, 1, write ? VMA_WRITE : VMA_READ);
}

static uint64_t local_memlock_limit(struct mm *mm)
{
	struct rlimit limit;

	(void)mm;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur >> PAGE_SHIFT;
}

static void local_mm_release(struct mm *mm)
{
	struct local_mm *local = local_mm_of(mm);

	if (maps_are_ours(local))
		close(local->maps);
	if (local->ours)
		munmap(local->ours, PAGE_SIZE);
	pthread_mutex_destroy(&local->lock);
	pthread_mutex_destroy(&local->mm.watch_lock);
	mounts_fini(&local->mounts);
	holds_put(local->holds);
	free(local);
}

static const struct mm_ops trusted_mm_ops = {
	.release = local_mm_release,
	.pin = local_pin,
	.read = trusted_mm_read,
	.write = trusted_mm_write,
	.load = local_mm_load,
	.store = local_mm_store,
	.may = local_mm_may,
	.memlock_limit = local_memlock_limit,
};

static const struct mm_ops checked_mm_ops = {
	.release = local_mm_release,
	.pin = local_pin,
	.read = checked_mm_read,
	.write = checked_mm_write,
	.load = local_mm_load,
	.store = local_mm_store,
	.may = local_mm_may,
	.memlock_limit = local_memlock_limit,
};

struct mm *local_mm_new(bool trusted)
{
	struct local_mm *local = calloc(1, sizeof(*local));

	if (!local)
		return NULL;
	local->holds = holds_new(trusted ? NULL : local_mm_copy);
	if (!local->holds) {
		free(local);
		return NULL;
	}
	local->mm.ops = trusted ? &trusted_mm_ops : &checked_mm_ops;
	local->mm.serial = 1;
	local->mm.process = 1;
	local->mm.pid = getpid();
	atomic_init(&local->mm.refs, 1);
	pthread_mutex_init(&local->mm.watch_lock, NULL);
	local->trusted = trusted;
	mounts_init(&local->mounts, 0);
	pthread_mutex_init(&local->lock, NULL);
	local->maps = -1;
	local->ours = page_of_process();
	return &local->mm;
}

struct holds *local_mm_holds(struct mm *mm)
{
	return local_mm_of(mm)->holds;
}
