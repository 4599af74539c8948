/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libiommuse: Linux's user-visible I/O address-space system inside one process.
 *
 * Open a system, open a file in it ("/dev/iommu", "/dev/vfio/vfio", "/dev/vfio/1", "/dev/ioasid"), and use that file as
 * the kernel's: ioctl with the commands and structures of Linux 7.2 (abi/iommufd.h, abi/vfio.h, or the system's own
 * headers), read, write, poll, mmap, close. Needs no privilege, no seccomp, no other process, and nothing but libc.
 *
 * Every function returns 0 or a positive result, or -errno; errno itself is left alone. All functions are thread-safe.
 */
#ifndef IOMMUSE_IOMMUSE_H
#define IOMMUSE_IOMMUSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOMMUSE_API __attribute__((visibility("default")))

struct iommuse;

/* How pointers that the caller passes to iommuse_ioctl() and its like are used. */
enum iommuse_client {
	/* A wrong pointer gives -EFAULT, as from the kernel, without signal handlers: each copy is a system call. */
	IOMMUSE_CLIENT_CHECKED = 0,
	/* Plain pointers: fast; a wrong one crashes the caller. For VMMs and benchmarks. */
	IOMMUSE_CLIENT_TRUSTED = 1,
};

struct iommuse_options {
	size_t struct_size;        /* sizeof(struct iommuse_options): lets the structure grow */
	uint32_t client;           /* enum iommuse_client */
	uint32_t selftest;         /* 1: IOMMU_TEST_CMD exists, as in a kernel with CONFIG_IOMMUFD_TEST */
	uint64_t capabilities;     /* bit CAP_*: what the caller counts as having; see own_capabilities */
	uint32_t own_capabilities; /* 1: look at the process's own capabilities instead of the member above */
	/* Devices, as `iommuse run --device` takes them: "ioat,addr=0000:04:00.0"; ended by NULL. NULL: none. */
	const char *const *devices;
	char *why; /* gets a line that says what of this cannot be had, empty where it is not that; may be NULL */
	size_t why_size;
	uint32_t pasid_bits;  /* there are 2^pasid_bits PASIDs, without 0; 1 to 20, 0: 20 */
	uint64_t pasid_quota; /* how many of them a file of /dev/ioasid may have; 0: any number */
};

/*
 * Makes a system. options may be NULL: a checked client with the process's own capabilities.
 * The caller frees it with iommuse_free(). Returns 0, or -errno: -EINVAL (unknown client kind, or a non-zero member
 * beyond what this version knows; a device with a key or a value that there is not, or of a shared object that cannot
 * be loaded or is no model; pasid_bits above 20), -EEXIST (two devices at one address, or no address is left), -ENOENT
 * (no such model), what a model says (an image that cannot be opened, for example), -EMFILE and -ENFILE (no descriptor
 * is left), -ENOMEM, -ENOSYS (checked, on a kernel without process_vm_readv).
 */
IOMMUSE_API int iommuse_new(const struct iommuse_options *options, struct iommuse **system);

/* Closes what is still open in the system and frees it. No call may be in flight in another thread. */
IOMMUSE_API void iommuse_free(struct iommuse *system);

/*
 * Opens a node. flags: O_RDONLY, O_WRONLY or O_RDWR, with O_CLOEXEC, O_NONBLOCK as for open(2). Each open is an object
 * of its own. Returns a descriptor: a number of the process's descriptor table that nothing else has while the file is
 * open, so it can be told from the process's own descriptors; close it with iommuse_close(). Returns -ENOENT: no such
 * node, -EBUSY: a VFIO group that is open, or of which a device's own node is bound, or /dev/ioasid, which a process
 * has open once; -EMFILE, -ENFILE, -ENOMEM.
 */
IOMMUSE_API int iommuse_open(struct iommuse *system, const char *path, int flags);

/* Is fd a descriptor of this system? 1 or 0. */
IOMMUSE_API int iommuse_owns(struct iommuse *system, int fd);

/* As ioctl(2). arg is the pointer or the value that the command takes. Returns what the command does, or -errno;
 * -EBADF: not a descriptor of the system. */
IOMMUSE_API int iommuse_ioctl(struct iommuse *system, int fd, unsigned long cmd, uintptr_t arg);

/* As read(2) and write(2), for event queues. Files have no position: a device is read from offset 0. -EINVAL on other
 * files. */
IOMMUSE_API ssize_t iommuse_read(struct iommuse *system, int fd, void *buf, size_t count);
IOMMUSE_API ssize_t iommuse_write(struct iommuse *system, int fd, const void *buf, size_t count);

/* As pread(2) and pwrite(2). -ESPIPE: an event queue, which has no positions. */
IOMMUSE_API ssize_t iommuse_pread(struct iommuse *system, int fd, void *buf, size_t count, off_t offset);
IOMMUSE_API ssize_t iommuse_pwrite(struct iommuse *system, int fd, const void *buf, size_t count, off_t offset);

/* Which of events (POLLIN, POLLOUT, ...) hold now; does not wait. Returns a mask, or -EBADF. */
IOMMUSE_API int iommuse_poll(struct iommuse *system, int fd, short events);

/*
 * As mmap(2) without a wished address. Stores the address in *address and returns 0, or -errno, among them -ENODEV: the
 * file has nothing to map; -ENXIO, -EINVAL: nothing was offered at this offset, or not as much; -EACCES: it was not
 * opened for that. Unmap with munmap(2).
 */
IOMMUSE_API int iommuse_mmap(struct iommuse *system, int fd, size_t length, int prot, int flags, off_t offset,
			     void **address);

/* Closes the descriptor. Calls that run in other threads end first; the last of them releases the file. Returns 0, or
 * -EBADF. */
IOMMUSE_API int iommuse_close(struct iommuse *system, int fd);

/* The version of the library that runs, as "0.1.0". */
IOMMUSE_API const char *iommuse_version(void);

#ifdef __cplusplus
}
#endif

#endif
