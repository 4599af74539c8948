/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_stalled FILE WAY: a driver whose device reads memory that is FILE, which its server does not give it. Prints
 * "ready", and tells the device when it is told so itself; the end of its standard input ends it. The harness kills it
 * as well, and looks how others fare meanwhile.
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#define STALLED_IOVA 0x20000000ull

int main(int argc, char **argv)
{
	enum way way = argc > 2 ? (enum way)strtoul(argv[2], NULL, 0) % WAYS : TYPE1;
	int fd = argc > 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	struct engine engine;
	struct rig rig;
	char byte;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (page == MAP_FAILED || rig_open(&rig, way, 0) || engine_begin(&engine, &rig, engine_memory_new(true)) ||
	    rig_map(&rig, page, PAGE, STALLED_IOVA, RIG_READ)) {
		printf("the device cannot be driven\n");
		return 1;
	}
	if (madvise(page, PAGE, MADV_DONTNEED) || posix_fadvise(fd, 0, PAGE, POSIX_FADV_DONTNEED))
		return 1;
	printf("ready\n");
	if (!hear(STDIN_FILENO))
		return 1;
	engine_give(&engine, OP_COPY, 0, ENGINE_IOVA + PAGE + 64, STALLED_IOVA, 64);
	while (read(STDIN_FILENO, &byte, 1) == 1)
		;
	return 0;
}
