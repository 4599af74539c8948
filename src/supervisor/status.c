/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/status.h"

#include "supervisor/calls.h"
#include "supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB_PER_PAGE (PAGE_SIZE / 1024)

/* Adds to a line "FIELD:\t    4 kB\n". Returns whether it is that line. */
static bool add_to(const char *line, const char *field, uint64_t kib, FILE *out)
{
	size_t length = strlen(field);

	if (strncmp(line, field, length))
		return false;
	kib += strtoull(line + length, NULL, 10);
	fprintf(out, "%s\t%8" PRIu64 " kB\n", field, kib);
	return true;
}

static void copy(FILE *in, FILE *out, uint64_t locked, uint64_t pinned)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, in) > 0)
		if (!add_to(line, "VmLck:", locked * KIB_PER_PAGE, out) &&
		    !add_to(line, "VmPin:", pinned * KIB_PER_PAGE, out))
			fputs(line, out);
	free(line);
}

/* Writes what a thread's shows into a file. Returns 0, or -errno. */
static int write_status(int fd, pid_t tid, uint64_t locked, uint64_t pinned)
{
	char path[64];
	FILE *in, *out;
	int copied;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	in = fopen(path, "re");
	if (!in)
		return -errno;
	copied = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	out = copied < 0 ? NULL : fdopen(copied, "w");
	if (!out) {
		fclose(in);
		if (copied >= 0)
			close(copied);
		return -ENOMEM;
	}
	copy(in, out, locked, pinned);
	fclose(in);
	return fclose(out) ? -errno : 0;
}

/* A file with it that can only be read. Returns a descriptor, or -errno. */
static int make_status(pid_t tid, uint64_t locked, uint64_t pinned)
{
	int fd = memfd_create("status", MFD_CLOEXEC);
	char path[64];
	int read_only = -1;
	int err;

	if (fd < 0)
		return -errno;
	err = write_status(fd, tid, locked, pinned);
	if (!err) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		(void)fchmod(fd, 0444);
		read_only = open(path, O_RDONLY | O_CLOEXEC);
		err = read_only < 0 ? -errno : 0;
	}
	close(fd);
	return err ? err : read_only;
}

int64_t status_open(struct call *call, pid_t tid, int flags)
{
	uint64_t locked, pinned;
	struct mm *mm;
	int fd, number;

	if (flags & (O_ACCMODE | O_CREAT | O_DIRECTORY | O_TRUNC))
		return CALL_CONTINUE;
	mm = process_mm(call->supervisor, tid);
	if (!mm)
		return CALL_CONTINUE;
	locked = atomic_load(&mm->locked);
	pinned = atomic_load(&mm->pinned);
	mm_put(mm);
	if (!locked && !pinned)
		return CALL_CONTINUE;
	fd = make_status(tid, locked, pinned);
	if (fd < 0)
		return CALL_CONTINUE;
	number = notify_put_fd(call->supervisor->listener, &call->n, fd, NOTIFY_ANY_FD, flags & O_CLOEXEC);
	close(fd);
	return number;
}
