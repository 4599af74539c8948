/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO_IOMMU_BIND and UNBIND: address spaces of processes that are bound to a container. Devices 0 and 1 are dmax,
 * number 2 is one that cannot share addresses; variant: the type of IOMMU, TYPE1 or TYPE1V2. bind_rights.c has who may
 * bind whom.
 */
#include "accel.h"
#include "ioasid.h"
#include "peer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { BUFFER = 3 * PAGE };

#define MAP_IOVA  0x20000000ull
#define RING_IOVA 0x10000000ull

static enum way way_of(const struct test *t)
{
	return t->variant % 2 ? TYPE1V2 : TYPE1;
}

static bool open_device(struct test *t, struct accel *a)
{
	return SAME(t, accel_open(a, way_of(t), 0), 0);
}

/* A copy within the private memory of the caller by queue n with that PASID: its status, or -errno. */
static long work(const struct accel *a, unsigned n, uint32_t pasid)
{
	struct queue_memory *memory = queue_memory_new(false);
	uint8_t *from = malloc(BUFFER);
	uint8_t *to = calloc(1, BUFFER);
	struct queue q;
	long rc = queue_start(&q, a, n, pasid, memory, 0);

	memset(from, (int)(pasid | 1), BUFFER);
	if (rc == 0) {
		rc = queue_copy(&q, to, from, BUFFER);
		if (rc == DMAX_SUCCESS && memcmp(to, from, BUFFER) != 0)
			rc = -EBADMSG;
		if (rc == -EIO && queue_error(&q) != DMAX_ERROR_RING)
			rc = -EPROTO;
		queue_stop(&q);
	}
	munmap(memory, sizeof(*memory));
	free(from);
	free(to);
	return rc;
}

#define WORKS(t, a, pasid) SAME(t, work(a, 0, (uint32_t)(pasid)), DMAX_SUCCESS)
/* The device cannot even read the ring. */
#define WORKS_NOT(t, a, pasid) SAME(t, work(a, 0, (uint32_t)(pasid)), -EIO)

/* Other processes, which have the device, too. */
enum { WORK, BIND, UNBIND, EXEC, EXIT };

static struct accel device;

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	char number[16];

	switch (op) {
	case WORK:
		return work(&device, (unsigned)b, (uint32_t)a);
	case BIND:
		return bind_process(device.rig.container, (pid_t)a);
	case UNBIND:
		return unbind_process(device.rig.container, (pid_t)a);
	case EXEC:
		snprintf(number, sizeof(number), "%d", dup2(socket, 99));
		execl("/proc/self/exe", "helper", "--helper", number, (char *)NULL);
		return -errno;
	case EXIT:
		_exit(0);
	}
	return -ENOSYS;
}

static void malformed(struct test *t)
{
	static const struct vfio_bind_process bad[] = {
		{0, BIND_PROCESS, 0, 0, 0},
		{4, BIND_PROCESS, 0, 0, 0},
		{7, BIND_PROCESS, 0, 0, 0},
		{8, BIND_PROCESS, 0, 0, 0},
		{12, BIND_PROCESS, 0, 0, 0},
		{19, BIND_PROCESS, 0, 0, 0},
		{20, 0, 0, 0, 0},
		{20, 2, 0, 0, 0},
		{20, 3, 0, 0, 0},
		{20, ~0u, 0, 0, 0},
		{20, BIND_PROCESS, 2, 0, 0},
		{20, BIND_PROCESS, 3, 0, 1},
		{20, BIND_PROCESS, 0x80000000, 0, 0},
		{20, BIND_PROCESS, ~0u, 0, -1},
	};
	struct accel a;
	long pasid = 0;

	if (!open_device(t, &a))
		return;
	for (int bound = 0; bound < 2; bound++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct vfio_bind_process b = bad[i];

			SAME(t, bind_as(a.rig.container, &b), -EINVAL);
			SAME(t, unbind_as(a.rig.container, &b), -EINVAL);
			SAME(t, b.pasid, 0);
		}
		if (bound)
			break;
		SAME(t, unbind_process(a.rig.container, 0), -ESRCH);
		pasid = bind_process(a.rig.container, 0);
		CHECK(t, pasid > 0);
	}
	WORKS(t, &a, pasid);
}

/* More than is known may follow; what the caller has in place of the PASID means nothing. */
static void longer(struct test *t)
{
	struct {
		struct vfio_bind_process b;
		uint32_t beyond[4];
	} s = {{sizeof(s), BIND_PROCESS, 0, ~0u, -77}, {~0u, ~0u, ~0u, ~0u}};
	struct accel a;
	uint32_t pasid;

	if (!open_device(t, &a))
		return;
	SAME(t, bind_as(a.rig.container, &s.b), 0);
	pasid = s.b.pasid;
	CHECK(t, pasid > 0 && pasid < 1u << 20);
	SAME(t, s.b.argsz, sizeof(s));
	SAME(t, s.b.flags, 0);
	SAME(t, s.b.pid, -77);
	SAME(t, s.beyond[0], ~0u);
	s.b.argsz = ~0u;
	s.b.pasid = 0;
	SAME(t, bind_as(a.rig.container, &s.b), 0);
	SAME(t, s.b.pasid, pasid);
	s.b.argsz = 1 << 20;
	SAME(t, unbind_as(a.rig.container, &s.b), 0);
	SAME(t, unbind_as(a.rig.container, &s.b), -ESRCH);
}

static void bad_pointers(struct test *t)
{
	static const unsigned commands[] = {VFIO_IOMMU_BIND, VFIO_IOMMU_UNBIND};
	uint8_t *end = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_bind_process good = {sizeof(good), BIND_PROCESS, 0, 0, 0};
	struct accel a;

	if (!open_device(t, &a))
		return;
	end += PAGE;
	mprotect(end, PAGE, PROT_NONE);
	for (int i = 0; i < 2; i++) {
		uint32_t head[2] = {sizeof(good), BIND_PROCESS};

		SAME(t, door_ioctl(a.rig.container, commands[i], NULL), -EFAULT);
		SAME(t, door_ioctl(a.rig.container, commands[i], wild_pointer()), -EFAULT);
		SAME(t, door_ioctl(a.rig.container, commands[i], end), -EFAULT);
		SAME(t, door_ioctl(a.rig.container, commands[i], end - 4), -EFAULT);
		/* Of a structure that is cut off, what is there is looked at first. */
		memcpy(end - 8, head, 8);
		SAME(t, door_ioctl(a.rig.container, commands[i], end - 8), -EFAULT);
		head[0] = 19;
		memcpy(end - 8, head, 8);
		SAME(t, door_ioctl(a.rig.container, commands[i], end - 8), -EINVAL);
		head[0] = 20;
		head[1] = 2;
		memcpy(end - 8, head, 8);
		SAME(t, door_ioctl(a.rig.container, commands[i], end - 8), -EINVAL);
	}
	memcpy(end - sizeof(good), &good, sizeof(good));
	SAME(t, door_ioctl(a.rig.container, VFIO_IOMMU_BIND, end - sizeof(good)), 0);
	SAME(t, door_ioctl(a.rig.container, VFIO_IOMMU_UNBIND, end - sizeof(good)), 0);
}

/* Where the PASID cannot be written nothing is bound. */
static void not_written(struct test *t)
{
	struct vfio_bind_process *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct accel a;
	long pasid;

	if (!open_device(t, &a))
		return;
	*b = (struct vfio_bind_process){sizeof(*b), BIND_PROCESS, 0, 0, 0};
	mprotect(b, PAGE, PROT_READ);
	for (int i = 0; i < 10; i++) {
		SAME(t, bind_as(a.rig.container, b), -EFAULT);
		SAME(t, unbind_process(a.rig.container, 0), -ESRCH);
	}
	pasid = bind_process(a.rig.container, 0);
	WORKS(t, &a, pasid);
	/* It was bound before: so it stays. */
	SAME(t, bind_as(a.rig.container, b), -EFAULT);
	WORKS(t, &a, pasid);
	/* UNBIND writes nothing. */
	SAME(t, unbind_as(a.rig.container, b), 0);
	WORKS_NOT(t, &a, pasid);
}

static void without_an_iommu(struct test *t)
{
	struct rig rig = {.way = way_of(t), .container = -1, .group = -1, .device = -1};
	int type = way_of(t) == TYPE1 ? 1 : 3;

	SAME(t, rig_open_container(&rig), 0);
	SAME(t, bind_process(rig.container, 0), -EINVAL);
	SAME(t, unbind_process(rig.container, 0), -EINVAL);
	SAME(t, bind_process(rig.container, getpid()), -EINVAL);
	rig.group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	SAME(t, door_ioctl(rig.group, VFIO_GROUP_SET_CONTAINER, &rig.container), 0);
	SAME(t, bind_process(rig.container, 0), -EINVAL);
	SAME(t, unbind_process(rig.container, 0), -EINVAL);
	SAME(t, ERR(ioctl(rig.container, CMD(VFIO_SET_IOMMU), type)), 0);
	/* No device is open. */
	CHECK(t, bind_process(rig.container, 0) > 0);
	SAME(t, door_ioctl(rig.group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	SAME(t, bind_process(rig.container, 0), -EINVAL);
	SAME(t, unbind_process(rig.container, 0), -EINVAL);
	/* What was bound went with the group. */
	SAME(t, door_ioctl(rig.group, VFIO_GROUP_SET_CONTAINER, &rig.container), 0);
	SAME(t, ERR(ioctl(rig.container, CMD(VFIO_SET_IOMMU), type)), 0);
	SAME(t, unbind_process(rig.container, 0), -ESRCH);
	rig_close(&rig);
}

/* The commands are a container's. An iommufd can be one, but has no IOMMU before it has a group. */
static void on_other_files(struct test *t)
{
	struct accel a;
	long rc = bind_process(open_iommu(), 0);

	if (!open_device(t, &a))
		return;
	CHECK(t, bind_process(a.rig.group, 0) < 0);
	CHECK(t, bind_process(a.rig.device, 0) < 0);
	CHECK(t, rc == -ENOTTY || rc == -EINVAL);
	SAME(t, unbind_process(a.rig.container, 0), -ESRCH);
}

static void *thread_id(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	pause();
	return NULL;
}

/* Once more is not twice: the same PASID, and one UNBIND ends it. */
static void bound_again(struct test *t)
{
	struct accel a;
	pthread_t thread;
	static volatile pid_t tid;
	long pasid;

	if (!open_device(t, &a))
		return;
	pasid = bind_process(a.rig.container, 0);
	CHECK(t, pasid > 0);
	for (int i = 0; i < 5; i++) {
		SAME(t, bind_process(a.rig.container, 0), pasid);
		SAME(t, bind_process(a.rig.container, getpid()), pasid);
	}
	SAME(t, pthread_create(&thread, NULL, thread_id, (void *)&tid), 0);
	while (!tid)
		usleep(100);
	SAME(t, bind_process(a.rig.container, tid), pasid);
	WORKS(t, &a, pasid);
	SAME(t, unbind_process(a.rig.container, tid), 0);
	WORKS_NOT(t, &a, pasid);
	SAME(t, unbind_process(a.rig.container, 0), -ESRCH);
	SAME(t, unbind_process(a.rig.container, getpid()), -ESRCH);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		pasid = bind_process(a.rig.container, i % 2 ? getpid() : 0);
		WORKS(t, &a, pasid);
		SAME(t, unbind_process(a.rig.container, i % 3 ? 0 : getpid()), 0);
		WORKS_NOT(t, &a, pasid);
	}
}

/* What the argument says of the PASID is ignored, for one that lives. */
static void unbind_ignores_the_pasid(struct test *t)
{
	struct vfio_bind_process b = {sizeof(b), BIND_PROCESS, 0, 0, 0};
	struct accel a;
	long pasid;

	if (!open_device(t, &a))
		return;
	pasid = bind_process(a.rig.container, 0);
	b.pasid = (uint32_t)pasid + 1;
	SAME(t, unbind_as(a.rig.container, &b), 0);
	SAME(t, unbind_as(a.rig.container, &b), -ESRCH);
	WORKS_NOT(t, &a, pasid);
}

static void no_such_process(struct test *t)
{
	struct accel a;
	pid_t dead = fork();
	pid_t zombie;

	if (dead == 0)
		_exit(0);
	SAME(t, wait_for(dead), 0);
	zombie = fork();
	if (zombie == 0)
		_exit(0);
	SAME(t, ERR(waitid(P_PID, (id_t)zombie, &(siginfo_t){0}, WEXITED | WNOWAIT)), 0);
	if (!open_device(t, &a))
		return;
	for (int i = 0; i < 2; i++) {
		struct vfio_bind_process zero = {sizeof(zero), BIND_PROCESS, WITH_PID, 0, 0};
		pid_t none[] = {-1, -getpid(), INT32_MIN, INT32_MAX, dead, zombie};

		SAME(t, bind_as(a.rig.container, &zero), -ESRCH);
		SAME(t, unbind_as(a.rig.container, &zero), -ESRCH);
		for (size_t k = 0; k < sizeof(none) / sizeof(none[0]); k++) {
			SAME(t, bind_process(a.rig.container, none[k]), -ESRCH);
			SAME(t, unbind_process(a.rig.container, none[k]), -ESRCH);
		}
		if (i == 0)
			CHECK(t, bind_process(a.rig.container, 0) > 0);
	}
	SAME(t, wait_for(zombie), 0);
}

/* The number of a kernel thread, or 0. */
static pid_t find_kernel_thread(void)
{
	for (pid_t pid = 2; pid < 2000; pid++) {
		char path[40];
		char text[512] = "";
		unsigned flags = 0;
		const char *rest;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		(void)!read(fd, text, sizeof(text) - 1);
		close(fd);
		rest = strrchr(text, ')');
		if (rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && flags & 0x200000)
			return pid;
	}
	return 0;
}

static void kernel_thread(struct test *t)
{
	pid_t pid = find_kernel_thread();
	struct accel a;

	if (!pid) {
		test_skip(t, "no kernel thread can be seen here");
		return;
	}
	if (!open_device(t, &a))
		return;
	SAME(t, bind_process(a.rig.container, pid), -ESRCH);
	SAME(t, unbind_process(a.rig.container, pid), -ESRCH);
}

static void two_processes(struct test *t)
{
	struct peer child;
	long pasid;
	long theirs;

	if (!open_device(t, &device))
		return;
	child = peer_start(serve);
	pasid = bind_process(device.rig.container, 0);
	/* What a process has is not its child's. */
	SAME(t, peer_ask(&child, UNBIND, 0, 0), -ESRCH);
	theirs = bind_process(device.rig.container, child.pid);
	CHECK(t, pasid > 0 && theirs > 0 && theirs != pasid);
	SAME(t, peer_ask(&child, BIND, 0, 0), theirs);
	SAME(t, peer_ask(&child, BIND, (uint64_t)getpid(), 0), pasid);
	SAME(t, peer_ask(&child, WORK, (uint64_t)theirs, 1), DMAX_SUCCESS);
	WORKS(t, &device, pasid);
	/* With the other's PASID the ring is looked for in the other's memory. */
	WORKS_NOT(t, &device, theirs);
	SAME(t, peer_ask(&child, WORK, (uint64_t)pasid, 1), -EIO);
	/* One is unbound, the other not. */
	SAME(t, peer_ask(&child, UNBIND, (uint64_t)getpid(), 0), 0);
	WORKS_NOT(t, &device, pasid);
	SAME(t, peer_ask(&child, WORK, (uint64_t)theirs, 1), DMAX_SUCCESS);
	SAME(t, unbind_process(device.rig.container, child.pid), 0);
	SAME(t, unbind_process(device.rig.container, child.pid), -ESRCH);
	SAME(t, peer_ask(&child, WORK, (uint64_t)theirs, 1), -EIO);
	SAME(t, peer_end(&child), 0);
}

/* A child's copy of the memory is another address space; the PASID goes on meaning its parent's. */
static void forked_after(struct test *t)
{
	struct peer child;
	long pasid;

	if (!open_device(t, &device))
		return;
	pasid = bind_process(device.rig.container, 0);
	child = peer_start(serve);
	SAME(t, peer_ask(&child, UNBIND, 0, 0), -ESRCH);
	CHECK(t, peer_ask(&child, BIND, 0, 0) != pasid);
	SAME(t, peer_ask(&child, UNBIND, 0, 0), 0);
	WORKS(t, &device, pasid);
	SAME(t, peer_end(&child), 0);
	WORKS(t, &device, pasid);
}

/* Asks a copy of a process that ends or executes: with its PASID nothing is reached any more. */
static void ends(struct test *t, bool reaped, bool killed)
{
	struct vfio_bind_process b = {sizeof(b), BIND_PROCESS, WITH_PID, 0, 0};
	struct peer child = peer_start(serve);
	long pasid = bind_process(device.rig.container, child.pid);

	SAME(t, peer_ask(&child, WORK, (uint64_t)pasid, 1), DMAX_SUCCESS);
	if (killed)
		kill(child.pid, SIGKILL);
	else
		peer_tell(&child, EXIT, 0, 0);
	if (reaped)
		SAME(t, peer_end(&child), killed ? -SIGKILL : 0);
	else
		SAME(t, ERR(waitid(P_PID, (id_t)child.pid, &(siginfo_t){0}, WEXITED | WNOWAIT)), 0);
	WORKS_NOT(t, &device, pasid);
	SAME(t, bind_process(device.rig.container, child.pid), -ESRCH);
	/* What BIND has filled in is enough to unbind it, once. */
	b.pid = child.pid;
	b.pasid = (uint32_t)pasid;
	SAME(t, unbind_as(device.rig.container, &b), 0);
	SAME(t, unbind_as(device.rig.container, &b), -ESRCH);
	if (!reaped)
		SAME(t, peer_end(&child), killed ? -SIGKILL : 0);
}

static void processes_that_end(struct test *t)
{
	long own;

	if (!open_device(t, &device))
		return;
	own = bind_process(device.rig.container, 0);
	for (unsigned i = 0; i < 4; i++)
		ends(t, i & 1, i & 2);
	WORKS(t, &device, own);
}

/* Of those that nobody unbinds nothing is left either. */
static void many_that_end(struct test *t)
{
	uint32_t most = 0;

	if (!open_device(t, &device))
		return;
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct peer child = peer_start(serve);
		long pasid = bind_process(device.rig.container, child.pid);

		CHECK(t, pasid > 0);
		SAME(t, peer_ask(&child, WORK, (uint64_t)pasid, 1), DMAX_SUCCESS);
		SAME(t, i % 2 ? peer_kill(&child) : peer_end(&child), i % 2 ? -SIGKILL : 0);
		if (pasid > (long)most)
			most = (uint32_t)pasid;
	}
	dprintf(STDOUT_FILENO, "# %s: PASIDs up to %u in %lu rounds\n", t->name, most, t->rounds);
	CHECK(t, most < t->rounds / 2 + 4);
}

/* The address space that was bound is gone, the process is not. */
static void process_that_executes(struct test *t)
{
	struct peer child;
	long pasid;
	long again;

	if (!open_device(t, &device))
		return;
	child = peer_start(serve);
	pasid = bind_process(device.rig.container, child.pid);
	SAME(t, peer_ask(&child, WORK, (uint64_t)pasid, 1), DMAX_SUCCESS);
	peer_tell(&child, EXEC, 0, 0);
	SAME(t, peer_answer(&child), 0x600d); /* of the program that it has become */
	WORKS_NOT(t, &device, pasid);
	again = bind_process(device.rig.container, child.pid);
	CHECK(t, again > 0);
	SAME(t, unbind_process(device.rig.container, child.pid), 0);
	SAME(t, unbind_process(device.rig.container, child.pid), -ESRCH);
	SAME(t, peer_end(&child), 0);
}

static int helper(int socket)
{
	long answer = 0x600d;

	(void)!write(socket, &answer, sizeof(answer));
	peer_be(socket, serve);
}

/* A group that is added later gets all bonds. */
static void group_joins(struct test *t)
{
	struct accel second;
	struct peer child;
	long pasid;
	long theirs;

	if (!open_device(t, &device))
		return;
	pasid = bind_process(device.rig.container, 0);
	if (!SAME(t, accel_join(&second, &device, 1), 0))
		return;
	WORKS(t, &device, pasid);
	WORKS(t, &second, pasid);
	SAME(t, bind_process(device.rig.container, 0), pasid);
	child = peer_start(serve);
	theirs = bind_process(device.rig.container, child.pid);
	SAME(t, peer_ask(&child, WORK, (uint64_t)theirs, 1), DMAX_SUCCESS);
	SAME(t, unbind_process(device.rig.container, 0), 0);
	WORKS_NOT(t, &device, pasid);
	WORKS_NOT(t, &second, pasid);
	SAME(t, peer_end(&child), 0);
	accel_close(&second);
}

/* One that is removed loses them, and the others keep them. */
static void group_leaves(struct test *t)
{
	struct accel first;
	struct accel second;
	struct accel alone;
	long pasid;

	if (!open_device(t, &first) || !SAME(t, accel_join(&second, &first, 1), 0))
		return;
	pasid = bind_process(first.rig.container, 0);
	for (unsigned i = 0; i < 3; i++) {
		WORKS(t, &first, pasid);
		WORKS(t, &second, pasid);
		accel_close_device(&second);
		SAME(t, door_ioctl(second.rig.group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
		close(second.rig.group);
		second.rig.group = -1;
		WORKS(t, &first, pasid);
		if (SAME(t, accel_open(&alone, way_of(t), 1), 0)) {
			WORKS_NOT(t, &alone, pasid);
			SAME(t, unbind_process(alone.rig.container, 0), -ESRCH);
			accel_close(&alone);
		}
		if (!SAME(t, accel_join(&second, &first, 1), 0))
			return;
	}
	/* The one that was first goes. */
	accel_close_device(&first);
	SAME(t, door_ioctl(first.rig.group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	WORKS(t, &second, pasid);
	SAME(t, bind_process(first.rig.container, 0), pasid);
	SAME(t, unbind_process(first.rig.container, 0), 0);
	WORKS_NOT(t, &second, pasid);
	accel_close(&second);
	accel_close(&first);
}

/* One address space, two containers. */
static void two_containers(struct test *t)
{
	struct accel first;
	struct accel second;
	long one;
	long two;

	if (!open_device(t, &first) || !SAME(t, accel_open(&second, way_of(t), 1), 0))
		return;
	one = bind_process(first.rig.container, 0);
	SAME(t, unbind_process(second.rig.container, 0), -ESRCH);
	WORKS_NOT(t, &second, one);
	two = bind_process(second.rig.container, 0);
	CHECK(t, one > 0 && two > 0);
	WORKS(t, &first, one);
	WORKS(t, &second, two);
	accel_close(&first);
	WORKS(t, &second, two);
	SAME(t, unbind_process(second.rig.container, 0), 0);
	WORKS_NOT(t, &second, two);
	accel_close(&second);
}

/* The device outlives the descriptor of its container, and so do the bonds; the last of them ends it. */
static void container_closed(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds / 4 + 2 && !t->failed; i++) {
		struct accel a;
		long pasid;

		if (!open_device(t, &a))
			return;
		SAME(t, unbind_process(a.rig.container, 0), -ESRCH);
		pasid = bind_process(a.rig.container, 0);
		CHECK(t, pasid > 0 && pasid < 4);
		close(a.rig.container);
		a.rig.container = -1;
		WORKS(t, &a, pasid);
		if (i % 2) {
			close(a.rig.group);
			a.rig.group = -1;
			WORKS(t, &a, pasid);
		}
		accel_close(&a);
	}
}

static long mapped_copy(struct queue *q, uint64_t to, uint64_t from)
{
	return queue_do(q, DMAX_COPY, 0, to, from, PAGE, 0, NULL);
}

/* Untagged DMA goes by the maps, tagged DMA by pointers, and neither disturbs the other. */
static void maps_beside(struct test *t)
{
	uint8_t *mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct queue_memory *memory = queue_memory_new(true);
	struct queue tagged;
	struct queue untagged;
	struct accel a;
	long pasid;

	if (!open_device(t, &a))
		return;
	SAME(t, rig_map(&a.rig, mapped, 2 * PAGE, MAP_IOVA, RIG_BOTH), 0);
	SAME(t, rig_map(&a.rig, memory, (sizeof(*memory) + PAGE - 1) / PAGE * PAGE, RING_IOVA, RIG_BOTH), 0);
	pasid = bind_process(a.rig.container, 0);
	SAME(t, queue_start(&untagged, &a, 0, 0, memory, RING_IOVA), 0);
	SAME(t, queue_start(&tagged, &a, 1, (uint32_t)pasid, queue_memory_new(false), 0), 0);
	memset(mapped, 0x11, PAGE);
	SAME(t, mapped_copy(&untagged, MAP_IOVA + PAGE, MAP_IOVA), DMAX_SUCCESS);
	CHECK(t, mapped[PAGE] == 0x11 && mapped[2 * PAGE - 1] == 0x11);
	SAME(t, mapped_copy(&untagged, address(mapped), MAP_IOVA), DMAX_PAGE_FAULT);
	memset(mapped, 0x22, PAGE);
	SAME(t, mapped_copy(&tagged, address(mapped) + PAGE, address(mapped)), DMAX_SUCCESS);
	CHECK(t, mapped[PAGE] == 0x22 && mapped[2 * PAGE - 1] == 0x22);
	SAME(t, mapped_copy(&tagged, MAP_IOVA + PAGE, address(mapped)), DMAX_PAGE_FAULT);
	SAME(t, rig_unmap(&a.rig, MAP_IOVA, 2 * PAGE), 2 * PAGE);
	SAME(t, mapped_copy(&untagged, MAP_IOVA + PAGE, MAP_IOVA), DMAX_PAGE_FAULT);
	SAME(t, mapped_copy(&tagged, address(mapped) + PAGE, address(mapped)), DMAX_SUCCESS);
	SAME(t, rig_map(&a.rig, mapped, 2 * PAGE, MAP_IOVA, RIG_BOTH), 0);
	SAME(t, unbind_process(a.rig.container, 0), 0);
	SAME(t, mapped_copy(&untagged, MAP_IOVA + PAGE, MAP_IOVA), DMAX_SUCCESS);
	SAME(t, mapped_copy(&tagged, address(mapped) + PAGE, address(mapped)), -EIO);
	accel_close(&a);
}

/* Both are of one space: who allocates a PASID does not get that of a bond, and cannot free it. */
static void beside_ioasid(struct test *t)
{
	struct accel a;
	int fd = ioasid_open();
	long pasid;

	if (!open_device(t, &a))
		return;
	SAME(t, ioasid_any(fd), 1);
	pasid = bind_process(a.rig.container, 0);
	CHECK(t, pasid > 1);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
	SAME(t, ioasid_free(fd, pasid), -EACCES);
	WORKS(t, &a, pasid);
	/* Nor does what a process allocated become that of a bond. */
	WORKS_NOT(t, &a, 1);
	SAME(t, unbind_process(a.rig.container, 0), 0);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), pasid);
	CHECK(t, bind_process(a.rig.container, 0) > 0);
	CHECK(t, bind_process(a.rig.container, 0) != pasid);
	accel_close(&a);
}

/* A device that cannot share addresses is in the way of BIND, and of a bond that is there. */
static void device_without(struct test *t)
{
	struct rig rig = {.way = way_of(t), .number = 2, .container = -1, .group = -1, .device = -1};
	struct accel a;
	int container;
	long pasid;
	long rc;

	SAME(t, rig_open_container(&rig), 0);
	SAME(t, rig_open_group(&rig), 0);
	rc = bind_process(rig.container, 0);
	CHECK(t, rc == -ENODEV || rc == -EINVAL);
	SAME(t, unbind_process(rig.container, 0), -ESRCH);
	rig_close(&rig);
	if (!open_device(t, &a))
		return;
	pasid = bind_process(a.rig.container, 0);
	container = a.rig.container;
	rig.group = open("/dev/vfio/3", O_RDWR | O_CLOEXEC);
	CHECK(t, rig.group >= 0);
	CHECK(t, door_ioctl(rig.group, VFIO_GROUP_SET_CONTAINER, &container) < 0);
	WORKS(t, &a, pasid);
	SAME(t, unbind_process(container, 0), 0);
	SAME(t, door_ioctl(rig.group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	rc = bind_process(container, 0);
	CHECK(t, rc == -ENODEV || rc == -EINVAL);
	/* What the first device could have done is undone. */
	WORKS_NOT(t, &a, pasid);
	SAME(t, unbind_process(container, 0), -ESRCH);
	close(rig.group);
	WORKS(t, &a, bind_process(container, 0));
	accel_close(&a);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"malformed", malformed},
		{"longer", longer},
		{"bad_pointers", bad_pointers},
		{"not_written", not_written},
		{"without_an_iommu", without_an_iommu},
		{"on_other_files", on_other_files},
		{"bound_again", bound_again},
		{"unbind_ignores_the_pasid", unbind_ignores_the_pasid},
		{"no_such_process", no_such_process},
		{"kernel_thread", kernel_thread},
		{"two_processes", two_processes},
		{"forked_after", forked_after},
		{"processes_that_end", processes_that_end},
		{"many_that_end", many_that_end},
		{"process_that_executes", process_that_executes},
		{"group_joins", group_joins},
		{"group_leaves", group_leaves},
		{"two_containers", two_containers},
		{"container_closed", container_closed},
		{"maps_beside", maps_beside},
		{"beside_ioasid", beside_ioasid},
		{"device_without", device_without},
	};

	if (argc == 3 && strcmp(argv[1], "--helper") == 0)
		return helper(atoi(argv[2]));
	return TEST_MAIN(argc, argv, cases);
}
