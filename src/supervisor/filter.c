/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter is a list of rules: a system call, and up to one test of an argument. Of an argument only its low 32 bits
 * are tested, as all that is tested (a command, a descriptor, flags) is an int to the kernel.
 */
#include "supervisor/filter.h"

#include "abi/ioasid.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#error "the filter knows x86-64 and arm64"
#endif

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define FILTER_ARG(i) (offsetof(struct seccomp_data, args) + 8UL * (i)) /* little-endian: the low half comes first */
#define FILTER_MAX    256
#define HIGH_POSITION (UINT64_C(1) << 40)

struct program {
	struct sock_filter code[FILTER_MAX];
	unsigned short length;
};

static void emit(struct program *p, uint16_t code, uint8_t jump_true, uint8_t jump_false, uint32_t k)
{
	if (p->length < FILTER_MAX)
		p->code[p->length] = (struct sock_filter){code, jump_true, jump_false, k};
	p->length++;
}

static void load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void verdict(struct program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, 0, 0, action);
}

/* Each rule begins and ends with the number of the system call in the accumulator. */
static void trap(struct program *p, uint32_t nr)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, nr);
	verdict(p, SECCOMP_RET_USER_NOTIF);
}

/* Traps nr where (argument & mask) == value. */
static void trap_masked(struct program *p, uint32_t nr, unsigned arg, uint32_t mask, uint32_t value)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, nr);
	load(p, FILTER_ARG(arg));
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
	verdict(p, SECCOMP_RET_USER_NOTIF);
	verdict(p, SECCOMP_RET_ALLOW);
}

/* Traps commands of our types, and what tells KVM of a VFIO file. */
static void trap_ioctls(struct program *p, bool kvm)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, kvm ? 7 : 6, __NR_ioctl);
	load(p, FILTER_ARG(1));
	if (kvm)
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, 3, 0, KVM_SET_DEVICE_ATTR);
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xff00);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ';' << 8);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, IOASID_TYPE << 8);
	verdict(p, SECCOMP_RET_USER_NOTIF);
	verdict(p, SECCOMP_RET_ALLOW);
}

/*
 * Traps a read or a write of the window, which its descriptor tells, and one of no bytes, which stand-ins do not
 * refuse; one with a position also where only that tells: it is high, and not below zero.
 */
static void trap_transfer(struct program *p, uint32_t nr, const struct filter_config *config, bool positioned)
{
	const bool positions = positioned && config->positions;

	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, positions ? 10 : 7, nr);
	load(p, FILTER_ARG(2));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, positions ? 6 : 3, 0, 0);
	load(p, FILTER_ARG(0));
	emit(p, BPF_ALU | BPF_SUB | BPF_K, 0, 0, (uint32_t)config->window_fd);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, positions ? 0 : 1, positions ? 3 : 0, (uint32_t)config->window_fd_count);
	if (positions) {
		load(p, FILTER_ARG(3) + 4);
		emit(p, BPF_JMP | BPF_JSET | BPF_K, 2, 0, UINT32_C(1) << 31);
		emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, HIGH_POSITION >> 32);
	}
	verdict(p, SECCOMP_RET_USER_NOTIF);
	verdict(p, SECCOMP_RET_ALLOW);
}

static void trap_opens(struct program *p)
{
#ifdef __NR_open
	trap(p, __NR_open);
	trap(p, __NR_creat);
#endif
	trap(p, __NR_openat);
	trap(p, __NR_openat2);
}

/* What a client may do to a descriptor that the file behind it would allow and Linux's does not. */
static void trap_descriptors(struct program *p, const struct filter_config *config)
{
	static const int transfers[] = {__NR_read, __NR_write, __NR_readv, __NR_writev};
	static const int positioned[] = {__NR_pread64, __NR_pwrite64, __NR_preadv,
					 __NR_pwritev, __NR_preadv2,  __NR_pwritev2};

	for (size_t i = 0; i < sizeof(transfers) / sizeof(*transfers); i++)
		trap_transfer(p, (uint32_t)transfers[i], config, false);
	for (size_t i = 0; i < sizeof(positioned) / sizeof(*positioned); i++)
		trap_transfer(p, (uint32_t)positioned[i], config, true);
	trap_ioctls(p, config->positions);
	trap_masked(p, __NR_mmap, 3, MAP_ANONYMOUS, 0);
	trap(p, __NR_ftruncate);
	trap(p, __NR_fallocate);
	trap(p, __NR_truncate);
	trap_masked(p, __NR_madvise, 2, UINT32_MAX, MADV_REMOVE);
	trap(p, __NR_fstat);
}

/* Questions about a path: all of them where we show no nodes, else only those that mean a descriptor. */
static void trap_paths(struct program *p, bool all)
{
	if (!all) {
		trap_masked(p, __NR_newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
		trap_masked(p, __NR_statx, 2, AT_EMPTY_PATH, AT_EMPTY_PATH);
		return;
	}
	trap(p, __NR_newfstatat);
	trap(p, __NR_statx);
	trap(p, __NR_faccessat);
	trap(p, __NR_faccessat2);
	trap(p, __NR_readlinkat);
	trap(p, __NR_getxattr);
	trap(p, __NR_lgetxattr);
	trap(p, __NR_listxattr);
	trap(p, __NR_llistxattr);
#ifdef __NR_stat
	trap(p, __NR_stat);
	trap(p, __NR_lstat);
	trap(p, __NR_access);
	trap(p, __NR_readlink);
#endif
}

/* What makes a process. The flags of clone3 lie in memory. */
static void trap_forks(struct program *p)
{
	trap_masked(p, __NR_clone, 0, CLONE_THREAD, 0);
	trap(p, __NR_clone3);
#ifdef __NR_fork
	trap(p, __NR_fork);
#endif
}

/* What leaves a thread other capabilities, but for execve. */
static void trap_credentials(struct program *p)
{
	trap(p, __NR_capset);
	trap(p, __NR_setuid);
	trap(p, __NR_setreuid);
	trap(p, __NR_setresuid);
	trap(p, __NR_setns);
	trap_masked(p, __NR_unshare, 0, CLONE_NEWUSER, CLONE_NEWUSER);
}

static void build(struct program *p, const struct filter_config *config)
{
	p->length = 0;
	load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, FILTER_ARCH);
	verdict(p, SECCOMP_RET_ALLOW);
	load(p, offsetof(struct seccomp_data, nr));
	trap_descriptors(p, config);
	trap_opens(p);
	trap_paths(p, config->paths);
	if (config->credentials)
		trap_credentials(p);
	trap(p, __NR_execve);
	trap(p, __NR_execveat);
	if (config->forks)
		trap_forks(p);
	verdict(p, SECCOMP_RET_ALLOW);
}

static int install(struct program *p, unsigned long flags)
{
	struct sock_fprog prog = {.len = p->length, .filter = p->code};
	long fd = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &prog);

	return fd < 0 ? -errno : (int)fd;
}

int filter_install(const struct filter_config *config)
{
	struct program p;
	int fd;

	build(&p, config);
	if (p.length > FILTER_MAX)
		return -E2BIG;
	fd = install(&p, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (fd == -EINVAL) /* before Linux 5.19 */
		fd = install(&p, 0);
	return fd;
}

int filter_probe(void)
{
	static const struct filter_config config = {.window_fd = 1000, .window_fd_count = 1};
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		int fd;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		fd = filter_install(&config);
		_exit(fd < 0 ? -fd : 0);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

bool filter_wait_killable(void)
{
	/* The kernel looks at the flags before it reads the program: a known flag gets as far as EFAULT. */
	syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, NULL);
	return errno == EFAULT;
}
