/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/seccomp.h>

static _Thread_local unsigned until_failure; /* functions that still succeed, plus one; 0: not armed */
static _Thread_local const char *failed;
static _Atomic long own_blocks;
static _Atomic long *live_blocks = &own_blocks;
static bool only_some; /* threads count; set before there are any */
static _Thread_local bool is_counted;

/* Blocks that do not count, whoever frees them, as those of the threads that come and go with the load. */
struct apart {
	struct apart *next;
	const void *block;
};

static struct apart *apart[4096];
static pthread_mutex_t apart_lock = PTHREAD_MUTEX_INITIALIZER;

void fail_arm(unsigned n)
{
	failed = NULL;
	until_failure = n;
}

const char *fail_disarm(void)
{
	until_failure = 0;
	return failed;
}

unsigned fail_left(void)
{
	return until_failure;
}

void fail_count_at(_Atomic long *counter)
{
	live_blocks = counter;
	only_some = true;
}

void fail_count_here(void)
{
	is_counted = true;
}

static bool fails(const char *what)
{
	if (!until_failure || --until_failure)
		return false;
	failed = what;
	return true;
}

size_t fail_live_blocks(void)
{
	return (size_t)atomic_load(live_blocks);
}

size_t fail_open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	size_t count = 0;

	while (fds && readdir(fds))
		count++;
	if (fds)
		closedir(fds);
	return count;
}

size_t fail_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	size_t count = 0;
	int c;

	while (maps && (c = getc_unlocked(maps)) != EOF)
		count += c == '\n';
	if (maps)
		fclose(maps);
	return count;
}

/* A function that fails with an error number; parameters and arguments are lists in brackets. */
#define FAILING(type, name, failure, error, parameters, arguments)                                                     \
	type __real_##name parameters;                                                                                 \
	type __wrap_##name parameters;                                                                                 \
	type __wrap_##name parameters                                                                                  \
	{                                                                                                              \
		if (fails(#name)) {                                                                                    \
			errno = (error);                                                                               \
			return failure;                                                                                \
		}                                                                                                      \
		return __real_##name arguments;                                                                        \
	}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *block);

static struct apart **apart_of(const void *block)
{
	return &apart[(uintptr_t)block / 16 % (sizeof(apart) / sizeof(apart[0]))];
}

static void set_apart(const void *block)
{
	struct apart *a = __real_malloc(sizeof(*a));

	if (!a)
		abort();
	a->block = block;
	pthread_mutex_lock(&apart_lock);
	a->next = *apart_of(block);
	*apart_of(block) = a;
	pthread_mutex_unlock(&apart_lock);
}

/* Was it? It is not any more. */
static bool take_apart(const void *block)
{
	struct apart **link, *a;

	if (!only_some)
		return false;
	pthread_mutex_lock(&apart_lock);
	for (link = apart_of(block); *link && (*link)->block != block; link = &(*link)->next)
		;
	a = *link;
	if (a)
		*link = a->next;
	pthread_mutex_unlock(&apart_lock);
	__real_free(a);
	return a;
}

static void *counted(void *block)
{
	if (block && only_some && !is_counted)
		set_apart(block);
	else if (block)
		atomic_fetch_add(live_blocks, 1);
	return block;
}

/* What has become of a block that was made larger or smaller. */
static void *moved(void *old, bool was_apart, void *block)
{
	if (was_apart)
		set_apart(block ? block : old);
	return block;
}

void *__wrap_malloc(size_t size)
{
	return fails("malloc") ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails("calloc") ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails("aligned_alloc") ? NULL : counted(__real_aligned_alloc(alignment, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	bool was_apart;

	if (fails("realloc"))
		return NULL;
	if (!old)
		return counted(__real_malloc(size));
	was_apart = take_apart(old);
	return moved(old, was_apart, __real_realloc(old, size));
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	bool was_apart;

	if (fails("reallocarray"))
		return NULL;
	if (!old)
		return counted(__real_reallocarray(old, count, size));
	was_apart = take_apart(old);
	return moved(old, was_apart, __real_reallocarray(old, count, size));
}

void __wrap_free(void *block)
{
	if (block && !take_apart(block))
		atomic_fetch_sub(live_blocks, 1);
	__real_free(block);
}

FAILING(ssize_t, process_vm_readv, -1, EFAULT,
	(pid_t pid, const struct iovec *local, unsigned long count, const struct iovec *remote, unsigned long remotes,
	 unsigned long flags),
	(pid, local, count, remote, remotes, flags))
FAILING(ssize_t, process_vm_writev, -1, EFAULT,
	(pid_t pid, const struct iovec *local, unsigned long count, const struct iovec *remote, unsigned long remotes,
	 unsigned long flags),
	(pid, local, count, remote, remotes, flags))
FAILING(void *, mmap, MAP_FAILED, ENOMEM, (void *at, size_t length, int prot, int flags, int fd, off_t offset),
	(at, length, prot, flags, fd, offset))
FAILING(void *, mmap64, MAP_FAILED, ENOMEM, (void *at, size_t length, int prot, int flags, int fd, off_t offset),
	(at, length, prot, flags, fd, offset))
FAILING(int, memfd_create, -1, EMFILE, (const char *name, unsigned flags), (name, flags))
FAILING(int, ftruncate, -1, ENOSPC, (int fd, off_t length), (fd, length))
FAILING(int, ftruncate64, -1, ENOSPC, (int fd, off_t length), (fd, length))
FAILING(int, fstat, -1, EIO, (int fd, struct stat *st), (fd, st))
FAILING(int, fstat64, -1, EIO, (int fd, struct stat *st), (fd, st))
FAILING(int, fstatfs, -1, EIO, (int fd, struct statfs *st), (fd, st))
FAILING(int, fstatfs64, -1, EIO, (int fd, struct statfs *st), (fd, st))
FAILING(int, stat, -1, ENOMEM, (const char *path, struct stat *st), (path, st))
FAILING(int, stat64, -1, ENOMEM, (const char *path, struct stat *st), (path, st))
FAILING(off_t, lseek, -1, EIO, (int fd, off_t offset, int whence), (fd, offset, whence))
FAILING(off_t, lseek64, -1, EIO, (int fd, off_t offset, int whence), (fd, offset, whence))
FAILING(int, madvise, -1, ENOMEM, (void *at, size_t length, int advice), (at, length, advice))
FAILING(int, getrlimit, -1, EPERM, (int which, struct rlimit *limit), (which, limit))
FAILING(int, getrlimit64, -1, EPERM, (int which, struct rlimit *limit), (which, limit))
FAILING(int, prlimit, -1, EPERM, (pid_t pid, int which, const struct rlimit *to, struct rlimit *from),
	(pid, which, to, from))
FAILING(int, prlimit64, -1, EPERM, (pid_t pid, int which, const struct rlimit *to, struct rlimit *from),
	(pid, which, to, from))
FAILING(ssize_t, pread, -1, EIO, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
FAILING(ssize_t, pread64, -1, EIO, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
FAILING(ssize_t, read, -1, EIO, (int fd, void *to, size_t n), (fd, to, n))
FAILING(ssize_t, pwrite, -1, EIO, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
FAILING(ssize_t, pwrite64, -1, EIO, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
FAILING(int, pipe2, -1, EMFILE, (int *ends, int flags), (ends, flags))
FAILING(int, epoll_ctl, -1, ENOSPC, (int epoll, int op, int fd, struct epoll_event *event), (epoll, op, fd, event))
FAILING(int, inotify_add_watch, -1, ENOSPC, (int inotify, const char *path, uint32_t mask), (inotify, path, mask))
FAILING(int, fallocate, -1, ENOSPC, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
FAILING(int, fallocate64, -1, ENOSPC, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
FAILING(int, mkdirat, -1, ENOSPC, (int dir, const char *path, mode_t mode), (dir, path, mode))
FAILING(DIR *, opendir, NULL, EMFILE, (const char *path), (path))
FAILING(FILE *, fdopen, NULL, ENOMEM, (int fd, const char *mode), (fd, mode))
FAILING(FILE *, fopen, NULL, EMFILE, (const char *path, const char *mode), (path, mode))
FAILING(FILE *, fopen64, NULL, EMFILE, (const char *path, const char *mode), (path, mode))

/* A line's room is libc's to allocate, and the caller's to free. */
ssize_t __real___getdelim(char **line, size_t *room, int end, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *room, int end, FILE *file);

ssize_t __wrap___getdelim(char **line, size_t *room, int end, FILE *file)
{
	bool had_room = *line;
	ssize_t got;

	if (fails("getline")) {
		errno = ENOMEM;
		return -1;
	}
	got = __real___getdelim(line, room, end, file);
	if (!had_room)
		counted(*line);
	return got;
}

/* Of the system calls without a function of their own, those that make a descriptor. */
long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);

long __wrap_syscall(long nr, ...)
{
	const bool makes_one = nr == SYS_pidfd_open || nr == SYS_pidfd_getfd || nr == SYS_open_tree;
	long a[6];
	va_list list;

	va_start(list, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (makes_one && fails("syscall")) {
		errno = EMFILE;
		return -1;
	}
	return __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Those with a variable argument, of which the library uses one. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long command, ...);
int __wrap_ioctl(int fd, unsigned long command, ...);
void *__real_mremap(void *old, size_t old_size, size_t size, int flags, ...);
void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...);

static uint64_t argument_of(va_list list)
{
	return va_arg(list, uint64_t);
}

#define FAILING_VARIADIC(name, error, parameters, last, ...)                                                           \
	int __wrap_##name parameters                                                                                   \
	{                                                                                                              \
		uint64_t argument;                                                                                     \
		va_list list;                                                                                          \
                                                                                                                       \
		va_start(list, last);                                                                                  \
		argument = argument_of(list);                                                                          \
		va_end(list);                                                                                          \
		if (fails(#name)) {                                                                                    \
			errno = (error);                                                                               \
			return -1;                                                                                     \
		}                                                                                                      \
		return __real_##name(__VA_ARGS__, argument);                                                           \
	}

FAILING_VARIADIC(open, EMFILE, (const char *path, int flags, ...), flags, path, flags)
FAILING_VARIADIC(open64, EMFILE, (const char *path, int flags, ...), flags, path, flags)
FAILING_VARIADIC(fcntl, EMFILE, (int fd, int command, ...), command, fd, command)
FAILING_VARIADIC(fcntl64, EMFILE, (int fd, int command, ...), command, fd, command)
FAILING_VARIADIC(openat, EMFILE, (int dir, const char *path, int flags, ...), flags, dir, path, flags)
FAILING_VARIADIC(openat64, EMFILE, (int dir, const char *path, int flags, ...), flags, dir, path, flags)

/* Whether a call is still waited for, and its answer, fail only where the caller is dead. */
int __wrap_ioctl(int fd, unsigned long command, ...)
{
	const bool can_fail = command != SECCOMP_IOCTL_NOTIF_ID_VALID && command != SECCOMP_IOCTL_NOTIF_SEND;
	uint64_t argument;
	va_list list;

	va_start(list, command);
	argument = argument_of(list);
	va_end(list);
	if (can_fail && fails("ioctl")) {
		errno = command == SECCOMP_IOCTL_NOTIF_ADDFD ? EMFILE : EIO;
		return -1;
	}
	return __real_ioctl(fd, command, argument);
}

void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
	uint64_t argument;
	va_list list;

	va_start(list, flags);
	argument = argument_of(list);
	va_end(list);
	if (fails("mremap")) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mremap(old, old_size, size, flags, (void *)(uintptr_t)argument);
}
