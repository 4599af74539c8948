/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/memory_id.h"

#include "base/types.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define RANDOM_BYTES 16
#define STACK_BYTES  256
#define AUXV_MAX     64

/* Reads a file of a thread in /proc. Returns how many bytes it has, or -errno; -ESRCH: none. */
static ssize_t read_proc(pid_t tid, const char *name, void *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size);
	if (n < 0)
		n = -errno;
	close(fd);
	return n ? n : -ESRCH;
}

int memory_id_read(pid_t tid, struct memory_id *id)
{
	uint64_t auxv[AUXV_MAX][2] = {{0}};
	ssize_t n = read_proc(tid, "auxv", auxv, sizeof(auxv));

	*id = (struct memory_id){0};
	if (n < 0)
		return (int)n;
	for (size_t i = 0; i < (size_t)n / sizeof(auxv[0]) && auxv[i][0] != AT_NULL; i++) {
		id->auxv = (id->auxv ^ auxv[i][0] ^ auxv[i][1]) * UINT64_C(0x100000001b3);
		if (auxv[i][0] == AT_RANDOM)
			id->random = auxv[i][1];
	}
	return 0;
}

/* Returns 1 or 0, or -ESRCH. */
static int shows_the_same(int mem, pid_t tid, uint64_t at, size_t size)
{
	char now[STACK_BYTES];
	char before[STACK_BYTES];
	struct iovec local = {now, size};
	struct iovec remote = {(void *)(uintptr_t)at, size};

	if (process_vm_readv(tid, &local, 1, &remote, 1, 0) != (ssize_t)size)
		return -ESRCH;
	return pread(mem, before, size, (off_t)at) == (ssize_t)size && memcmp(now, before, size) == 0;
}

int memory_has_origin(int mem, const struct memory_id *id, pid_t tid)
{
	struct memory_id now;
	int rc = memory_id_read(tid, &now);

	if (rc)
		return rc;
	if (!id->auxv)
		return -ENODATA;
	if (!memory_ids_equal(&now, id))
		return 0;
	return now.random ? shows_the_same(mem, tid, now.random, RANDOM_BYTES) : 1;
}

/* The last two numbers are the stack pointer and the program counter. */
static uint64_t stack_pointer(const char *text)
{
	const char *word = strrchr(text, ' ');

	while (word && word > text && word[-1] != ' ')
		word--;
	return word ? strtoull(word, NULL, 16) : 0;
}

int memory_has_stack(int mem, pid_t tid)
{
	char text[256];
	ssize_t n = read_proc(tid, "syscall", text, sizeof(text) - 1);
	uint64_t sp, room;
	int same;

	if (n < 0)
		return (int)n;
	text[n] = 0;
	sp = stack_pointer(text);
	if (!sp)
		return -EAGAIN; /* "running" */
	/* A few bytes may be the same by chance, so the end of a page is one only where nothing follows. */
	same = shows_the_same(mem, tid, sp, STACK_BYTES);
	room = PAGE_SIZE - sp % PAGE_SIZE;
	return same == -ESRCH && room < STACK_BYTES ? shows_the_same(mem, tid, sp, room) : same;
}
