/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs_walk SEED COUNT: asks about COUNT random paths below /sys, from random directories, and prints what the answers
 * are, a line each. Whoever shows the files, the answers are the same.
 */
#include "door.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define ANY(list, state) (list)[random_next(state) % (sizeof(list) / sizeof(*(list)))]

static const char *const words[] = {
	"..",       "..",           "..",           ".",      "",          "bus",        "pci",
	"devices",  "drivers",      "vfio-pci",     "class",  "vfio",      "net",        "lo",
	"address",  "kernel",       "iommu_groups", "1",      "7",         "module",     "ids",
	"fscaps",   "driver",       "iommu_group",  "iommu",  "subsystem", "iommuse",    "pci0000:01",
	"virtual",  "vfio0",        "vendor",       "config", "type",      "nothing",    "vfio-dev",
	"sys",      "0000:01:00.0", "vfio_pci",     "device", "mem",       "parameters", "uevent",
	"iommuse0", "0000:00:04.0",
};

static const char *const starts[] = {"/sys",
				     "/sys/bus/pci",
				     "/sys/bus/pci/devices",
				     "/sys/bus/pci/devices/0000:01:00.0",
				     "/sys/class",
				     "/sys/module/vfio_pci",
				     "/sys/kernel/iommu_groups/7",
				     "/sys/kernel",
				     "/sys/devices/virtual",
				     "/sys/bus/pci/drivers"};

/* Of most words, one is taken that leads somewhere. */
static void make_path(int dir, char *path, size_t size, uint64_t *state)
{
	size_t length = 0;

	if (random_next(state) % 3 == 0)
		length = (size_t)snprintf(path, size, "%s", ANY(starts, state));
	for (unsigned n = 1 + (unsigned)(random_next(state) % 7); n; n--) {
		bool anywhere = random_next(state) % 12 == 0;
		size_t word = 0;

		for (unsigned tries = 0; tries < 40; tries++) {
			word = (size_t)snprintf(path + length, size - length, "%s%s", length ? "/" : "",
						ANY(words, state));
			if (anywhere || faccessat(dir, path, F_OK, 0) == 0)
				break;
		}
		length += word;
	}
	if (random_next(state) % 8 == 0)
		snprintf(path + length, size - length, "/");
}

/* Of a directory, its names in whatever order; of a file, what it says. */
static uint64_t digest(int fd, mode_t mode)
{
	uint64_t sum = 0;
	char text[256];

	if (S_ISDIR(mode)) {
		DIR *dir = fdopendir(dup(fd));
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			uint64_t hash = entry->d_type == DT_LNK;

			for (const char *c = entry->d_name; *c; c++)
				hash = hash * 31 + (uint8_t)*c;
			sum += hash;
		}
		if (dir)
			closedir(dir);
	} else {
		ssize_t n = read(fd, text, sizeof(text));

		for (ssize_t i = 0; i < n; i++)
			sum = sum * 31 + (uint8_t)text[i];
	}
	return sum;
}

static void print_open(int dir, const char *path, int flags)
{
	int fd = (int)ERR(openat(dir, path, flags | O_CLOEXEC));
	char link[64], name[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0) {
		printf("%d\n", fd);
		return;
	}
	fstat(fd, &st);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = '\0';
	printf("%o %s %llx\n", st.st_mode & S_IFMT, name,
	       strncmp(name, "/sys", 4) ? 0 : (unsigned long long)digest(fd, st.st_mode));
	close(fd);
}

static void print_stat(int dir, const char *path, int flags)
{
	struct stat st;
	long rc = ERR(fstatat(dir, path, &st, flags));

	printf("%ld %o\n", rc, rc ? 0 : st.st_mode & S_IFMT);
}

static void print_link(int dir, const char *path)
{
	char text[PATH_MAX];
	long n = ERR(readlinkat(dir, path, text, sizeof(text)));

	printf("%ld %.*s\n", n, n > 0 ? (int)n : 0, text);
}

static void ask(int dir, const char *path, unsigned question)
{
	switch (question) {
	case 0:
		printf("open %s: ", path);
		print_open(dir, path, O_RDONLY);
		break;
	case 1:
		printf("open without links %s: ", path);
		print_open(dir, path, O_RDONLY | O_NOFOLLOW);
		break;
	case 2:
		printf("open directory %s: ", path);
		print_open(dir, path, O_RDONLY | O_DIRECTORY);
		break;
	case 3:
		printf("stat %s: ", path);
		print_stat(dir, path, 0);
		break;
	case 4:
		printf("lstat %s: ", path);
		print_stat(dir, path, AT_SYMLINK_NOFOLLOW);
		break;
	case 5:
		printf("readlink %s: ", path);
		print_link(dir, path);
		break;
	default:
		printf("access %s: %ld\n", path, ERR(faccessat(dir, path, R_OK, 0)));
		break;
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
	char path[PATH_MAX];

	for (unsigned long i = 0; i < count; i++) {
		uint64_t state = seed + (i << 32); /* one answer that differs changes no other question */
		const char *start = ANY(starts, &state);
		int dir = open(start, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0) {
			printf("%s: errno %d\n", start, errno);
			continue;
		}
		make_path(dir, path, sizeof(path), &state);
		printf("%s ", start);
		ask(dir, path, (unsigned)(random_next(&state) % 7));
		close(dir);
	}
	return 0;
}
