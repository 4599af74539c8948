/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks at each thing that iommuse needs of a machine, by trying it where that can be done, and says what to do. */
#include "cli/verb.h"

#include "base/errno_name.h"
#include "base/log.h"
#include "client/vma.h"
#include "supervisor/filter.h"
#include "supervisor/launch.h"
#include "supervisor/overlay.h"
#include "supervisor/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum verdict {
	GOOD,
	NOTE, /* works, with something to know */
	BAD,  /* iommuse run cannot work */
};

#define TRACE_TIMEOUT_MS 2000

struct finding {
	enum verdict verdict;
	char text[256];
};

typedef struct finding check(void);

static struct finding __attribute__((format(printf, 2, 3))) finding(enum verdict verdict, const char *format, ...)
{
	struct finding f = {.verdict = verdict};
	va_list ap;

	va_start(ap, format);
	vsnprintf(f.text, sizeof(f.text), format, ap);
	va_end(ap);
	return f;
}

static void kernel_version(int *major, int *minor)
{
	struct utsname name;

	*major = *minor = 0;
	if (!uname(&name))
		sscanf(name.release, "%d.%d", major, minor);
}

static bool kernel_is(int major, int minor)
{
	int have_major, have_minor;

	kernel_version(&have_major, &have_minor);
	return have_major > major || (have_major == major && have_minor >= minor);
}

static struct finding check_kernel(void)
{
	int major, minor;

	kernel_version(&major, &minor);
	if (!kernel_is(5, 14))
		return finding(BAD, "Linux %d.%d: 5.14 or later is needed", major, minor);
	if (!kernel_is(6, 6))
		return finding(NOTE, "Linux %d.%d: works; from 6.6 on each call costs a fifth", major, minor);
	return finding(GOOD, "Linux %d.%d", major, minor);
}

static struct finding check_notification(void)
{
	int err = -filter_probe();

	switch (err) {
	case 0:
		return finding(GOOD, "seccomp user notification works");
	case EBUSY:
		return finding(BAD,
			       "another supervisor listens to our system calls already: run iommuse outside of it");
	case ENOSYS:
	case EINVAL:
		return finding(BAD, "the kernel has no seccomp user notification: CONFIG_SECCOMP_FILTER is needed");
	default:
		return finding(BAD, "a seccomp filter is refused (%s): in a container, allow seccomp(2) in its profile",
			       errno_name(err));
	}
}

static struct finding check_signals(void)
{
	if (!filter_wait_killable())
		return finding(NOTE,
			       "no WAIT_KILLABLE_RECV (Linux 5.19): a signal in the middle of a call repeats the call");
	if (!kernel_is(6, 17))
		return finding(NOTE, "before Linux 6.17 a signal may repeat a call that was answered already (a map "
				     "then says EEXIST)");
	return finding(GOOD, "a signal never repeats a call");
}

static struct finding check_namespaces(void)
{
	int err = overlay_try_namespace();

	if (!err)
		return finding(GOOD, "namespaces work: programs see the nodes in their own /dev");
	return finding(NOTE, "namespaces are refused (%s): path traps serve instead (--overlay=trap)",
		       errno_name(-err));
}

/* A child that lives until it is killed, for us to look at. */
static pid_t start_target(int *pipe_end)
{
	int ends[2];
	pid_t child;

	if (pipe(ends) < 0)
		return -1;
	child = fork();
	if (!child) {
		char byte;

		close(ends[1]);
		(void)!read(ends[0], &byte, 1);
		_exit(0);
	}
	close(ends[0]);
	*pipe_end = ends[1];
	return child;
}

static int try_memory(pid_t pid)
{
	static char there = 'x';
	char here = 0;
	struct iovec local = {&here, 1};
	struct iovec remote = {&there, 1};

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1 ? 0 : errno;
}

static int try_descriptors(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	close(fd);
	fd = (int)syscall(__NR_pidfd_open, pid, 0);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_on_child(int (*try)(pid_t))
{
	int end;
	pid_t child = start_target(&end);
	int err;

	if (child < 0)
		return errno;
	err = try(child);
	close(end);
	waitpid(child, NULL, 0);
	return err;
}

static int yama_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &scope) != 1)
		scope = 0;
	fclose(f);
	return scope;
}

static struct finding check_memory(void)
{
	int err = try_on_child(try_memory);

	if (err)
		return finding(
			BAD,
			"the memory of our own programs cannot be read (%s): in a container, allow process_vm_readv(2)",
			errno_name(err));
	switch (yama_scope()) {
	case 0:
		return finding(GOOD, "the memory of programs can be read");
	case 1:
		return finding(GOOD,
			       "the memory of programs can be read (ptrace_scope 1: while they are our descendants)");
	default:
		return finding(BAD, "kernel.yama.ptrace_scope is %d: set it to 0 or 1, or run as root", yama_scope());
	}
}

static struct finding check_descriptors(void)
{
	int err = try_on_child(try_descriptors);

	if (err)
		return finding(BAD, "the descriptors of our own programs cannot be seen (%s): is /proc mounted?",
			       errno_name(err));
	return finding(GOOD, "the descriptors of programs can be seen");
}

static struct finding check_inotify(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd < 0)
		return finding(BAD,
			       "no inotify instance is to be had (%s): end other programs that watch files, or raise "
			       "fs.inotify.max_user_instances",
			       errno_name(errno));
	close(fd);
	return finding(GOOD, "closes can be watched");
}

static int try_stopping(pid_t pid)
{
	int event;
	int err = tracer_seize(pid, 0, true);

	if (!err)
		err = tracer_wait(pid, TRACE_TIMEOUT_MS, &event);
	if (!err)
		tracer_detach(pid);
	return -err;
}

static struct finding check_ptrace(void)
{
	int err = try_on_child(try_stopping);

	if (!err)
		return finding(GOOD, "programs can be stopped (--pin=share)");
	return finding(NOTE,
		       "programs cannot be stopped (%s): --pin=share does what --pin=follow does; allow ptrace(2) in a "
		       "container's profile, and kernel.yama.ptrace_scope 0 or 1",
		       errno_name(err));
}

static struct finding check_mappings(void)
{
	int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	bool known;

	if (maps < 0)
		return finding(BAD, "/proc/self/maps cannot be read (%s): is /proc mounted?", errno_name(errno));
	known = vma_query_known(maps);
	close(maps);
	if (known)
		return finding(GOOD, "a program's mappings are found by one question each");
	return finding(NOTE, "no PROCMAP_QUERY (Linux 6.11): each pin reads a program's list of mappings, which takes "
			     "longer");
}

/* Shared memory without a file that anybody else could open. */
static void *nameless;

static int try_nameless(pid_t pid)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIxPTR "-%" PRIxPTR, (int)pid, (uintptr_t)nameless,
		 (uintptr_t)nameless + (uintptr_t)getpagesize());
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static struct finding check_shared_memory(void)
{
	const size_t length = (size_t)getpagesize();
	void *around = mmap(NULL, 3 * length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (around == MAP_FAILED)
		return finding(BAD, "no memory is to be had (%s)", errno_name(errno));
	nameless = mmap((char *)around + length, length, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	err = nameless == MAP_FAILED ? errno : try_on_child(try_nameless);
	munmap(around, 3 * length);
	if (!err)
		return finding(GOOD, "shared memory is held when it is pinned");
	return finding(
		NOTE,
		"shared memory without a name or a descriptor cannot be held (%s), which root can; other shared memory "
		"is held",
		errno_name(err));
}

static struct finding check_huge_pages(void)
{
	int fd = memfd_create("iommuse-doctor", MFD_CLOEXEC | MFD_HUGETLB);
	struct stat st;
	void *memory;
	int err;

	if (fd < 0 || fstat(fd, &st)) {
		err = errno;
		if (fd >= 0)
			close(fd);
		return finding(NOTE, "no huge pages (%s): programs that want hugetlb memory do not get it",
			       errno_name(err));
	}
	memory = mmap(NULL, (size_t)st.st_blksize, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return finding(NOTE, "no huge page is free: programs that want hugetlb memory need vm.nr_hugepages");
	munmap(memory, (size_t)st.st_blksize);
	return finding(GOOD, "huge pages of %ld KiB are free", (long)st.st_blksize / 1024);
}

static const struct {
	const char *name;
	check *look;
} checks[] = {
	{"kernel", check_kernel},         {"notification", check_notification},
	{"signals", check_signals},       {"namespaces", check_namespaces},
	{"memory", check_memory},         {"descriptors", check_descriptors},
	{"inotify", check_inotify},       {"ptrace", check_ptrace},
	{"mappings", check_mappings},     {"held", check_shared_memory},
	{"huge pages", check_huge_pages},
};

void doctor_usage(void)
{
	printf("usage: iommuse doctor\n\n"
	       "Says whether this machine can run programs under iommuse, what is missing, and what to do.\n"
	       "Exit status: 0 where it can, 1 where it cannot.\n");
}

int doctor_main(int argc, char **argv)
{
	static const char *const words[] = {[GOOD] = "ok", [NOTE] = "note", [BAD] = "MISSING"};
	int bad = 0;

	if (argc > 1) {
		bool asks = !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h");

		if (asks)
			doctor_usage();
		else
			log_line("doctor: unknown argument '%s': it takes none", argv[1]);
		return asks ? 0 : EXIT_OWN_FAILURE;
	}
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		struct finding f = checks[i].look();

		printf("%-8s %-13s %s\n", words[f.verdict], checks[i].name, f.text);
		bad += f.verdict == BAD;
	}
	printf(bad ? "\niommuse run cannot work here as long as %d of these %s missing.\n"
		   : "\niommuse run works here.\n",
	       bad, bad == 1 ? "is" : "are");
	return bad ? 1 : 0;
}
