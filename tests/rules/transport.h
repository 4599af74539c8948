/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a test reaches the system that it tests: through the library in its own process, or by real system calls on the
 * nodes of /dev, so that the same cases run under `iommuse run` (and would on a kernel). All functions return -errno on
 * failure.
 */
#ifndef IOMMUSE_TESTS_TRANSPORT_H
#define IOMMUSE_TESTS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum transport_kind {
	TRANSPORT_LIBRARY, /* a checked client */
	TRANSPORT_TRUSTED, /* the library with a trusted client: no wrong pointers */
	TRANSPORT_SYSCALLS,
};

struct transport;

/* capabilities: bits CAP_* that a client of the library has; system calls come with those that the process has. */
int transport_new(enum transport_kind kind, bool selftest, uint64_t capabilities, struct transport **transport);

/* What else there is; what the client of system calls was started with. */
struct transport_options {
	const char *const *devices; /* as `iommuse run --device` takes them, ended by NULL; NULL: none */
	uint64_t pasid_quota;       /* of /dev/ioasid; 0: none */
};

int transport_new_with(enum transport_kind kind, bool selftest, uint64_t capabilities,
		       const struct transport_options *options, struct transport **transport);
void transport_free(struct transport *transport);
enum transport_kind transport_kind(const struct transport *transport);

/* Does the client have this capability, in the initial user namespace? */
bool transport_capable(const struct transport *transport, int cap);

int transport_open(struct transport *transport, const char *path, int flags);
int transport_close(struct transport *transport, int fd);
int transport_ioctl(struct transport *transport, int fd, unsigned long cmd, uintptr_t arg);
ssize_t transport_read(struct transport *transport, int fd, void *buf, size_t count);
ssize_t transport_write(struct transport *transport, int fd, const void *buf, size_t count);
ssize_t transport_pread(struct transport *transport, int fd, void *buf, size_t count, off_t offset);
ssize_t transport_pwrite(struct transport *transport, int fd, const void *buf, size_t count, off_t offset);
/* The events that hold now, or -errno. */
int transport_poll(struct transport *transport, int fd, short events);
/* 0 and an address, or -errno. */
int transport_mmap(struct transport *transport, int fd, size_t length, int prot, int flags, off_t offset,
		   void **address);

#endif
