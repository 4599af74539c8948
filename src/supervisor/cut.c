/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that take memory away from a file. What is pinned of it stays what it was: before such a call goes on, what is
 * held of the bytes that will go becomes a copy. Only a call that will succeed may do that, so what the kernel would
 * refuse is looked for first.
 */
#include "supervisor/cut.h"
#include "supervisor/calls.h"

#include "client/holds.h"
#include "client/vma.h"
#include "supervisor/process.h"
#include "supervisor/remote.h"
#include "supervisor/remote_files.h"
#include "supervisor/remote_memory.h"
#include "supervisor/remote_mm.h"
#include "supervisor/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/magic.h>

/* What a file's holds are to lose. */
struct cut {
	uint64_t start, end;
	int seals; /* F_SEAL_* that forbid it */
};

static uint64_t up(uint64_t bytes, uint64_t page)
{
	return bytes > UINT64_MAX - page ? UINT64_MAX / page * page : (bytes + page - 1) / page * page;
}

static uint64_t page_size_of(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (uint32_t)fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : PAGE_SIZE;
}

/* Whole pages of the file only: the rest of a page stays, as zeroes, for everybody. */
static void cut_open_file(const struct supervisor *s, int fd, const struct stat *st, const struct cut *cut)
{
	const uint64_t page = page_size_of(fd);
	const uint64_t size = up((uint64_t)st->st_size, page);
	const uint64_t start = up(cut->start, page);
	const uint64_t end = cut->end < size ? cut->end / page * page : size;
	const int seals = fcntl(fd, F_GET_SEALS);

	if (start < end && (seals < 0 || !(seals & cut->seals)))
		holds_cut(s->holds, fd, st->st_dev, st->st_ino, start, end);
}

/* The file that a path of ours leads to. Nothing is opened but what we hold. */
static void cut_at(const struct supervisor *s, const char *path, const struct cut *cut)
{
	struct stat st;
	int fd;

	if (process_stat(AT_FDCWD, path, &st) || !holds_file(s->holds, st.st_dev, st.st_ino))
		return;
	fd = remote_memory_open(path, st.st_dev, st.st_ino);
	if (fd < 0)
		return;
	if (!fstat(fd, &st))
		cut_open_file(s, fd, &st, cut);
	close(fd);
}

static void cut_descriptor(const struct call *call, const struct cut *cut)
{
	const int flags = remote_fd_flags(call, (int)call->n.args[0]);
	char path[64];

	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_RDONLY)
		return;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, (int)call->n.args[0]);
	cut_at(call->supervisor, path, cut);
}

static bool concerns_us(const struct call *call)
{
	return call->is_open && holds_any(call->supervisor->holds) &&
	       holds_file(call->supervisor->holds, call->stat.st_dev, call->stat.st_ino);
}

int64_t call_ftruncate(struct call *call)
{
	const struct cut cut = {.start = call->n.args[1], .end = UINT64_MAX, .seals = F_SEAL_SHRINK};

	if (call->file)
		return -EINVAL;
	if (cut.start <= INT64_MAX && concerns_us(call))
		cut_descriptor(call, &cut);
	return CALL_CONTINUE;
}

int64_t call_fallocate(struct call *call)
{
	const uint64_t start = call->n.args[2];
	const uint64_t length = call->n.args[3];
	const struct cut cut = {.start = start, .end = start + length, .seals = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE};

	if (call->file)
		return (call->open_flags & O_ACCMODE) == O_RDONLY ? -EBADF : -ENODEV;
	if ((int)call->n.args[1] == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) && start <= INT64_MAX && length &&
	    length <= INT64_MAX - start && concerns_us(call))
		cut_descriptor(call, &cut);
	return CALL_CONTINUE;
}

void cut_path(struct call *call, int dirfd, uaddr_t path, uint64_t length)
{
	const struct cut cut = {.start = length, .end = UINT64_MAX, .seals = F_SEAL_SHRINK};
	char name[PATH_MAX];
	char full[PATH_MAX + 64];
	const int tid = (int)call->n.tid;

	if (!holds_any(call->supervisor->holds) || remote_string(call, path, name, sizeof(name)) <= 0)
		return;
	if (*name == '/')
		snprintf(full, sizeof(full), "/proc/%d/root%s", tid, name);
	else if (dirfd == AT_FDCWD)
		snprintf(full, sizeof(full), "/proc/%d/cwd/%s", tid, name);
	else
		snprintf(full, sizeof(full), "/proc/%d/fd/%d/%s", tid, dirfd, name);
	if (!faccessat(AT_FDCWD, full, W_OK, AT_EACCESS))
		cut_at(call->supervisor, full, &cut);
}

int64_t call_truncate(struct call *call)
{
	if (call->n.args[1] <= INT64_MAX)
		cut_path(call, AT_FDCWD, uaddr(call->n.args[0]), call->n.args[1]);
	return CALL_CONTINUE;
}

/* A part of a mapping: [va, last] lies in it. */
static void cut_mapping(const struct supervisor *s, const struct mm *mm, const struct vma *vma, uint64_t va,
			uint64_t last)
{
	const uint64_t start = vma->offset + (va - vma->start);
	const struct cut cut = {
		.start = start, .end = start + (last - va) + 1, .seals = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE};
	struct stat st;
	int fd;

	if (!vma->shared || !(vma->access & VMA_WRITE) || !holds_file(s->holds, vma->dev, vma->ino))
		return;
	fd = remote_memory_find(mm->pid, vma, "");
	if (fd < 0)
		return;
	if (!fstat(fd, &st))
		cut_open_file(s, fd, &st, &cut);
	close(fd);
}

/* MADV_REMOVE, the only advice that is trapped. A device has no memory that could go. */
int64_t call_madvise(struct call *call)
{
	struct supervisor *s = call->supervisor;
	uint64_t at = call->n.args[0];
	const uint64_t length = up(call->n.args[1], PAGE_SIZE);
	struct mm *mm;

	if ((!holds_any(s->holds) && !atomic_load(&s->mapped)) || at & ~PAGE_MASK || !length || at + length - 1 < at)
		return CALL_CONTINUE;
	mm = call->client.ops->mm(&call->client);
	for (const uint64_t last = at + length - 1; at <= last;) {
		struct vma vma;
		uint64_t end;

		if (remote_mm_vma(mm, at, &vma))
			break;
		if (vma.shared && standin_has_inode(s, vma.dev, vma.ino))
			return vma.access & VMA_WRITE ? -ENODEV : -EACCES;
		end = vma.last < last ? vma.last : last;
		cut_mapping(s, mm, &vma, at, end);
		if (end == UINT64_MAX)
			break;
		at = end + 1;
	}
	return CALL_CONTINUE;
}
