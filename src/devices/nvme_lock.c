/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of a process that was killed, its threads end what they write or flush before a lock goes, and io_uring does even
 * later than the process. That takes as long as the disk does. /proc says who has a lock and whether that is about to
 * end, but not of processes in other namespaces, nor where the file system numbers its devices in two ways.
 */
#include "devices/nvme_lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#define PAUSE_MS  10
#define WELL_MS   50    /* for an owner that is well: what is said of one that is just killed comes in two steps */
#define NOBODY_MS 1000  /* for one that is not known */
#define ENDING_MS 10000 /* for one that is about to end */

/* Of /proc/PID/stat. */
#define PF_EXITING      0x00000004U
#define PF_SIGNALED     0x00000400U
#define PENDING_SIGKILL 0x100U

/* Who has a lock of it; 0: that is not known. */
static pid_t find_owner(const struct stat *st)
{
	FILE *locks = fopen("/proc/locks", "re");
	unsigned major_number, minor_number;
	char *line = NULL;
	size_t room = 0;
	pid_t owner = 0;
	uint64_t ino;
	int pid;

	if (!locks)
		return 0;
	while (!owner && getline(&line, &room, locks) > 0)
		if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &major_number, &minor_number, &ino) ==
			    4 &&
		    makedev(major_number, minor_number) == st->st_dev && ino == st->st_ino)
			owner = pid;
	free(line);
	fclose(locks);
	return owner;
}

static bool is_ending(pid_t pid)
{
	char path[32], text[1024];
	unsigned long pending;
	const char *fields;
	unsigned flags;
	char state;
	FILE *stat;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stat = fopen(path, "re");
	if (!stat)
		return true;
	n = fread(text, 1, sizeof(text) - 1, stat);
	fclose(stat);
	text[n] = 0;
	fields = strrchr(text, ')');
	/* The state, the flags, and the signals that are pending. */
	if (!fields || sscanf(fields + 1,
			      " %c %*s %*s %*s %*s %*s %u %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			      "%*s %*s %*s %*s %*s %*s %lu",
			      &state, &flags, &pending) != 3)
		return true; /* it ended meanwhile */
	return state == 'Z' || state == 'X' || flags & (PF_EXITING | PF_SIGNALED) || pending & PENDING_SIGKILL;
}

int image_lock(int fd, int kind, pid_t *owner)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	struct stat st;
	unsigned well = 0, unknown = 0;

	if (fstat(fd, &st))
		return -errno;
	for (unsigned ms = 0; ms < ENDING_MS && well < WELL_MS && unknown < NOBODY_MS; ms += PAUSE_MS) {
		if (!flock(fd, kind | LOCK_NB) || errno != EWOULDBLOCK)
			return 0;
		*owner = find_owner(&st);
		if (!*owner)
			unknown += PAUSE_MS;
		else
			well = is_ending(*owner) ? 0 : well + PAUSE_MS;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}
