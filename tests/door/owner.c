/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Has what it is told to have, until it is told otherwise: a line for each on standard input, and the result, 0 or more
 * or -errno, on standard output.
 *
 * open: /dev/ioasid. close. alloc N: how many of N PASIDs it got, and the result of the last. free PASID. group N and
 * node N: device N, by its group or its own node. group-only N: without its registers. release: that device. bind and
 * unbind: itself to the container of the group; the result is the PASID. enter PATH: a cgroup.
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>

#define IOASID(nr) _IO('i', 100 + (nr))

struct ioasid_alloc_request {
	uint32_t argsz, flags, min, max;
};

static int ioasid = -1;
static struct rig rig;

static long allocate(long count, long *got)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .min = 1, .max = 0x7fffffff};
	long rc = 0;

	for (*got = 0; *got < count; ++*got) {
		rc = ERR(ioctl(ioasid, IOASID(2), &request));
		if (rc < 0)
			break;
	}
	return rc;
}

static long open_without_registers(unsigned number)
{
	long rc;

	rig = (struct rig){.way = TYPE1V2, .number = number, .container = -1, .group = -1, .device = -1};
	rc = rig_open_container(&rig);
	if (rc == 0)
		rc = rig_open_group(&rig);
	return rc == 0 ? rig_open_device(&rig) : rc;
}

static long bind_itself(bool bound)
{
	struct {
		uint32_t argsz, mode, flags, pasid;
		int32_t pid;
	} bind = {.argsz = sizeof(bind), .mode = 1};
	long rc = ERR(ioctl(rig.container, _IO(';', bound ? 0x7a : 0x7b), &bind));

	return rc == 0 && bound ? (long)bind.pasid : rc;
}

static long enter(const char *path)
{
	char file[512];
	long rc;
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = ERR(write(fd, "0\n", 2));
	close(fd);
	return rc < 0 ? rc : 0;
}

static void obey(const char *word, const char *text)
{
	int number = atoi(text);
	long got = 0;
	long rc = 0;

	if (!strcmp(word, "open")) {
		ioasid = open("/dev/ioasid", O_RDWR | O_CLOEXEC);
		rc = ioasid < 0 ? -errno : 0;
	} else if (!strcmp(word, "close")) {
		rc = ERR(close(ioasid));
	} else if (!strcmp(word, "alloc")) {
		rc = allocate(number, &got);
		printf("%ld ", got);
	} else if (!strcmp(word, "free")) {
		rc = ERR(ioctl(ioasid, IOASID(3), &number));
	} else if (!strcmp(word, "group") || !strcmp(word, "node")) {
		rc = rig_open(&rig, *word == 'g' ? TYPE1V2 : CDEV, (unsigned)number);
	} else if (!strcmp(word, "group-only")) {
		rc = open_without_registers((unsigned)number);
	} else if (!strcmp(word, "release")) {
		rig_close(&rig);
	} else if (!strcmp(word, "bind") || !strcmp(word, "unbind")) {
		rc = bind_itself(*word == 'b');
	} else if (!strcmp(word, "enter")) {
		rc = enter(text);
	} else {
		rc = -ENOSYS;
	}
	printf("%ld\n", rc);
	fflush(stdout);
}

int main(void)
{
	char line[512], word[16], text[512];

	while (fgets(line, sizeof(line), stdin)) {
		*text = '\0';
		if (sscanf(line, "%15s %511s", word, text) >= 1)
			obey(word, text);
	}
	return 0;
}
