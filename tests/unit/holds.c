/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that hold parts of a file and let them go, while another one has them replaced by copies: each always finds
 * what belongs there, and nothing is left in the end. */
#define _GNU_SOURCE
#include "client/holds.h"

#include "check.h"
#include "client/client.h"
#include "client/local_mm.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 3, STEPS = 20000, PAGES = 64 };

static struct holds *holds;
static struct memory_file file;
static struct stat file_stat;

static unsigned below(unsigned *random, unsigned n)
{
	*random = *random * 1103515245 + 12345;
	return (*random >> 8) % n;
}

static void *hold(void *arg)
{
	unsigned random = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < STEPS; i++) {
		const unsigned first = below(&random, PAGES);
		const unsigned count = 1 + below(&random, PAGES - first);
		const unsigned look = below(&random, count);
		struct memory_run run;
		unsigned page = 0;

		if (memory_file_pin(&file, first * PAGE_SIZE, count * PAGE_SIZE, i % 2, &run)) {
			CHECK(false);
			continue;
		}
		CHECK_EQ(run.length, count * PAGE_SIZE);
		CHECK_EQ(memory_copy(run.hold, &page, run.host + look * PAGE_SIZE, sizeof(page)), sizeof(page));
		CHECK_EQ(page, first + look);
		hold_put(run.hold);
	}
	return NULL;
}

static void *cut(void *arg)
{
	const int fd = *(int *)arg;
	unsigned random = 1;

	for (int i = 0; i < STEPS / 10; i++) {
		const unsigned first = below(&random, PAGES);

		holds_cut(holds, fd, file_stat.st_dev, file_stat.st_ino, first * PAGE_SIZE,
			  (first + 1 + below(&random, PAGES - first)) * PAGE_SIZE);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread[THREADS + 1];
	char path[32];
	int again;

	holds = holds_new(local_mm_copy);
	file = (struct memory_file){.fd = memfd_create("holds", MFD_CLOEXEC), .holds = holds};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file.fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	CHECK(holds && file.fd >= 0 && again >= 0);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK_EQ(pwrite(file.fd, &i, sizeof(i), (off_t)(i * PAGE_SIZE)), sizeof(i));
	CHECK(!ftruncate(file.fd, PAGES * (off_t)PAGE_SIZE) && !fstat(file.fd, &file_stat));
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, hold, (void *)(uintptr_t)(i + 1)), 0);
	CHECK_EQ(pthread_create(&thread[THREADS], NULL, cut, &again), 0);
	for (int i = 0; i <= THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK(!holds_any(holds));
	holds_put(holds);
	close(again);
	close(file.fd);
	return check_result();
}
