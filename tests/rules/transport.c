/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "transport.h"

#ifndef WITHOUT_LIBRARY
#include "iommuse/iommuse.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Built WITHOUT_LIBRARY, a test is a program that knows nothing of iommuse: only system calls. */
#ifdef WITHOUT_LIBRARY
#define LIBRARY(t, call) ((void)(t))
#else
#define LIBRARY(t, call)                                                                                               \
	do {                                                                                                           \
		if ((t)->system)                                                                                       \
			return (call);                                                                                 \
	} while (0)
#endif

struct transport {
	enum transport_kind kind;
	struct iommuse *system; /* NULL: system calls */
	uint64_t capabilities;
};

/* Capabilities count in the initial user namespace only: the one whose id map is the identity. */
static bool in_initial_user_namespace(void)
{
	unsigned inside = 1, outside = 1, count = 0;
	FILE *map = fopen("/proc/self/uid_map", "re");

	if (!map)
		return false;
	int fields = fscanf(map, "%u %u %u", &inside, &outside, &count);

	fclose(map);
	return fields == 3 && inside == 0 && outside == 0 && count == UINT32_MAX;
}

static uint64_t own_capabilities(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t effective = 0;

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, "CapEff:", 7))
			effective = strtoull(line + 7, NULL, 16);
	if (status)
		fclose(status);
	return in_initial_user_namespace() ? effective : 0;
}

static int system_new(struct transport *t, bool selftest, const struct transport_options *more)
{
#ifdef WITHOUT_LIBRARY
	(void)t;
	(void)selftest;
	(void)more;
	return -ENOSYS;
#else
	const struct iommuse_options options = {
		.struct_size = sizeof(options),
		.client = t->kind == TRANSPORT_TRUSTED ? IOMMUSE_CLIENT_TRUSTED : IOMMUSE_CLIENT_CHECKED,
		.selftest = selftest,
		.capabilities = t->capabilities,
		.devices = more->devices,
		.pasid_quota = more->pasid_quota,
	};

	return iommuse_new(&options, &t->system);
#endif
}

int transport_new(enum transport_kind kind, bool selftest, uint64_t capabilities, struct transport **transport)
{
	return transport_new_with(kind, selftest, capabilities, &(struct transport_options){0}, transport);
}

int transport_new_with(enum transport_kind kind, bool selftest, uint64_t capabilities,
		       const struct transport_options *options, struct transport **transport)
{
	struct transport *t = calloc(1, sizeof(*t));
	int rc = 0;

	if (!t)
		return -ENOMEM;
	t->kind = kind;
	t->capabilities = kind == TRANSPORT_SYSCALLS ? own_capabilities() : capabilities;
	if (kind != TRANSPORT_SYSCALLS)
		rc = system_new(t, selftest, options);
	if (rc) {
		free(t);
		return rc;
	}
	*transport = t;
	return 0;
}

void transport_free(struct transport *transport)
{
#ifndef WITHOUT_LIBRARY
	if (transport->system)
		iommuse_free(transport->system);
#endif
	free(transport);
}

enum transport_kind transport_kind(const struct transport *transport)
{
	return transport->kind;
}

bool transport_capable(const struct transport *transport, int cap)
{
	return transport->capabilities >> cap & 1;
}

int transport_open(struct transport *transport, const char *path, int flags)
{
	LIBRARY(transport, iommuse_open(transport->system, path, flags));
	int fd = open(path, flags);

	return fd < 0 ? -errno : fd;
}

int transport_close(struct transport *transport, int fd)
{
	LIBRARY(transport, iommuse_close(transport->system, fd));
	return close(fd) ? -errno : 0;
}

int transport_ioctl(struct transport *transport, int fd, unsigned long cmd, uintptr_t arg)
{
	LIBRARY(transport, iommuse_ioctl(transport->system, fd, cmd, arg));
	int rc = ioctl(fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

ssize_t transport_read(struct transport *transport, int fd, void *buf, size_t count)
{
	LIBRARY(transport, iommuse_read(transport->system, fd, buf, count));
	ssize_t n = read(fd, buf, count);

	return n < 0 ? -errno : n;
}

ssize_t transport_write(struct transport *transport, int fd, const void *buf, size_t count)
{
	LIBRARY(transport, iommuse_write(transport->system, fd, buf, count));
	ssize_t n = write(fd, buf, count);

	return n < 0 ? -errno : n;
}

ssize_t transport_pread(struct transport *transport, int fd, void *buf, size_t count, off_t offset)
{
	LIBRARY(transport, iommuse_pread(transport->system, fd, buf, count, offset));
	ssize_t n = pread(fd, buf, count, offset);

	return n < 0 ? -errno : n;
}

ssize_t transport_pwrite(struct transport *transport, int fd, const void *buf, size_t count, off_t offset)
{
	LIBRARY(transport, iommuse_pwrite(transport->system, fd, buf, count, offset));
	ssize_t n = pwrite(fd, buf, count, offset);

	return n < 0 ? -errno : n;
}

int transport_poll(struct transport *transport, int fd, short events)
{
	LIBRARY(transport, iommuse_poll(transport->system, fd, events));
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

int transport_mmap(struct transport *transport, int fd, size_t length, int prot, int flags, off_t offset,
		   void **address)
{
	LIBRARY(transport, iommuse_mmap(transport->system, fd, length, prot, flags, offset, address));
	*address = mmap(NULL, length, prot, flags, fd, offset);
	return *address == MAP_FAILED ? -errno : 0;
}
