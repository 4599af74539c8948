/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PASIDs of /dev/ioasid that are attached to page tables of an iommufd: whose may be attached, and when their numbers
 * are free again. Device 0 is dmax.
 */
#include "ioasid.h"
#include "peer.h"
#include "spaces.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

static struct spaces spaces;

/* Other processes: a file of their own, and the device that they share. */
enum { OPEN, CLOSE, ALLOC, FREE, ATTACH, DETACH, EXIT };

static int file = -1;

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	(void)socket;
	switch (op) {
	case OPEN:
		file = ioasid_open();
		return file < 0 ? file : 0;
	case CLOSE:
		return ERR(close(file));
	case ALLOC:
		return ioasid_any(file);
	case FREE:
		return ioasid_free(file, (long)a);
	case ATTACH:
		return spaces_attach(&spaces, a, (unsigned)b);
	case DETACH:
		return spaces_detach(&spaces, a);
	case EXIT:
		_exit(0);
	}
	return -ENOSYS;
}

static void own(struct test *t)
{
	int fd;
	long one;
	long two;

	if (!spaces_open(t, &spaces))
		return;
	fd = ioasid_open();
	one = ioasid_any(fd);
	two = ioasid_any(fd);
	SAME(t, spaces_attach(&spaces, (uint64_t)one, 0), 0);
	SAME(t, spaces_attach(&spaces, (uint64_t)two, 1), 0);
	for (int i = 0; i < 5; i++) {
		SAME(t, spaces_work(&spaces, (uint32_t)one, 0), DMAX_SUCCESS);
		SAME(t, spaces_work(&spaces, (uint32_t)two, 1), DMAX_SUCCESS);
	}
	/* To the other space, and back. */
	SAME(t, spaces_attach(&spaces, (uint64_t)one, 1), 0);
	SAME(t, spaces_work(&spaces, (uint32_t)one, 1), DMAX_SUCCESS);
	SAME(t, spaces_attach(&spaces, (uint64_t)one, 0), 0);
	SAME(t, spaces_detach(&spaces, (uint64_t)two), 0);
	SAME(t, spaces_work(&spaces, (uint32_t)two, 1), -EIO);
	SAME(t, spaces_work(&spaces, (uint32_t)one, 0), DMAX_SUCCESS);
	SAME(t, spaces_detach(&spaces, (uint64_t)one), 0);
	SAME(t, spaces_work(&spaces, (uint32_t)one, 0), -EIO);
	SAME(t, ioasid_free(fd, one), 0);
	SAME(t, ioasid_free(fd, two), 0);
	spaces_close(&spaces);
}

static void of_another(struct test *t)
{
	struct peer peer;
	int fd;
	long theirs;

	if (!spaces_open(t, &spaces))
		return;
	peer = peer_start(serve);
	SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
	theirs = peer_ask(&peer, ALLOC, 0, 0);
	/* Whether one has a file of one's own or none. */
	SAME(t, spaces_attach(&spaces, (uint64_t)theirs, 0), -EACCES);
	fd = ioasid_open();
	SAME(t, spaces_attach(&spaces, (uint64_t)theirs, 0), -EACCES);
	SAME(t, spaces_work(&spaces, (uint32_t)theirs, 0), -EIO);
	/* It is the caller that counts, not who opened the device. */
	SAME(t, peer_ask(&peer, ATTACH, (uint64_t)theirs, 0), 0);
	SAME(t, spaces_work(&spaces, (uint32_t)theirs, 0), DMAX_SUCCESS);
	SAME(t, spaces_attach(&spaces, (uint64_t)theirs, 1), -EACCES);
	SAME(t, spaces_work(&spaces, (uint32_t)theirs, 0), DMAX_SUCCESS);
	SAME(t, peer_ask(&peer, DETACH, (uint64_t)theirs, 0), 0);
	/* Freed, it is nobody's. */
	SAME(t, peer_ask(&peer, FREE, (uint64_t)theirs, 0), 0);
	SAME(t, spaces_attach(&spaces, (uint64_t)theirs, 0), 0);
	SAME(t, spaces_work(&spaces, (uint32_t)theirs, 0), DMAX_SUCCESS);
	SAME(t, spaces_detach(&spaces, (uint64_t)theirs), 0);
	SAME(t, peer_end(&peer), 0);
	close(fd);
	spaces_close(&spaces);
}

/* As Linux has it, where nobody allocates any. */
static void of_nobody(struct test *t)
{
	static const uint32_t pasids[] = {1, 2, 77, 0xfffff};

	if (!spaces_open(t, &spaces))
		return;
	for (int with_file = 0; with_file < 2; with_file++) {
		int fd = with_file ? ioasid_open() : -1;

		for (size_t i = 0; i < sizeof(pasids) / sizeof(pasids[0]); i++) {
			SAME(t, spaces_attach(&spaces, pasids[i], 0), 0);
			SAME(t, spaces_work(&spaces, pasids[i], 0), DMAX_SUCCESS);
		}
		for (size_t i = 0; i < sizeof(pasids) / sizeof(pasids[0]); i++) {
			SAME(t, spaces_detach(&spaces, pasids[i]), 0);
			SAME(t, spaces_work(&spaces, pasids[i], 0), -EIO);
		}
		close(fd);
	}
	SAME(t, spaces_attach(&spaces, 0x100000, 0), -EINVAL); /* the device has 20 bits */
	SAME(t, spaces_attach(&spaces, 1ull << 31, 0), -ENOSPC);
	SAME(t, spaces_attach(&spaces, 0xffffffff, 0), -ENOSPC);
	spaces_close(&spaces);
}

/* FREE of one that a device uses: 0, as often as one likes; but the number is nobody's before the detach. */
static void freed_while_attached(struct test *t)
{
	int fd;
	uint64_t pasid;

	if (!spaces_open(t, &spaces))
		return;
	fd = ioasid_open();
	pasid = (uint64_t)ioasid_any(fd);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		SAME(t, spaces_attach(&spaces, pasid, 0), 0);
		SAME(t, ioasid_free(fd, (long)pasid), 0);
		SAME(t, ioasid_free(fd, (long)pasid), 0);
		SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
		CHECK(t, ioasid_any(fd) != (long)pasid);
		SAME(t, ioasid_free(fd, (long)pasid + 1), 0);
		SAME(t, spaces_work(&spaces, (uint32_t)pasid, 0), DMAX_SUCCESS);
		SAME(t, spaces_detach(&spaces, pasid), 0);
		SAME(t, ioasid_free(fd, (long)pasid), -ENOENT);
		SAME(t, ioasid_any(fd), (long)pasid);
	}
	spaces_close(&spaces);
}

/* A close frees what is detached, and what is not when it is. */
static void closed_while_attached(struct test *t)
{
	struct peer peer;
	int fd;
	uint64_t pasid;

	if (!spaces_open(t, &spaces))
		return;
	peer = peer_start(serve);
	SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
	fd = ioasid_open();
	pasid = (uint64_t)ioasid_any(fd);
	SAME(t, spaces_attach(&spaces, pasid, 0), 0);
	close(fd);
	/* Neither another process nor the same with a new file gets it. */
	CHECK(t, peer_ask(&peer, ALLOC, 0, 0) != (long)pasid);
	fd = ioasid_open();
	CHECK(t, fd >= 0);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
	SAME(t, spaces_work(&spaces, (uint32_t)pasid, 0), DMAX_SUCCESS);
	SAME(t, spaces_detach(&spaces, pasid), 0);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), (long)pasid);
	/* The end of the device's file is a detach. */
	SAME(t, spaces_attach(&spaces, pasid, 0), 0);
	SAME(t, ioasid_free(fd, (long)pasid), 0);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
	SAME(t, peer_end(&peer), 0);
	spaces_close(&spaces);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), (long)pasid);
}

/* What a program finds that is executed with the device open: its maker had PASIDs 1 and 2, and 1 is attached. */
static int executed(int device, unsigned quota)
{
	struct test test = {.name = "executed"};
	struct test *t = &test;
	int fd = ioasid_open();

	spaces.a.rig.device = device;
	CHECK(t, fd >= 0);
	SAME(t, ioasid_free(fd, 1), -EACCES);
	SAME(t, ioasid_any(fd), 2);
	SAME(t, ioasid_any(fd), quota ? -EAGAIN : 3);
	SAME(t, spaces_detach(&spaces, 1), 0);
	SAME(t, ioasid_any(fd), 1);
	SAME(t, ioasid_any(fd), quota ? -EAGAIN : 4);
	return t->failed;
}

static int execute(unsigned quota)
{
	char device[16], number[16];
	int fd = dup(spaces.a.rig.device); /* without close-on-exec */

	snprintf(device, sizeof(device), "%d", fd);
	snprintf(number, sizeof(number), "%u", quota);
	execl("/proc/self/exe", "executed", "--executed", device, number, (char *)NULL);
	return 126;
}

/* The variant is the quota: 2, or 0 for none. A device is no way to more by another program. */
static void executes_while_attached(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			int fd = spaces_open(t, &spaces) ? ioasid_open() : -1;
			long one = ioasid_any(fd), two = ioasid_any(fd);

			if (one != 1 || two != 2 || spaces_attach(&spaces, 1, 0))
				_exit(125);
			if (t->variant && ioasid_any(fd) != -EAGAIN)
				_exit(124);
			_exit(execute(t->variant));
		}
		SAME(t, wait_for(pid), 0);
	}
}

/* Their owner exits or is killed while a device that others have uses them. */
static void exits_while_attached(struct test *t)
{
	int fd;

	if (!spaces_open(t, &spaces))
		return;
	fd = ioasid_open();
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct peer peer = peer_start(serve);
		uint64_t pasid;

		SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
		pasid = (uint64_t)peer_ask(&peer, ALLOC, 0, 0);
		SAME(t, peer_ask(&peer, ATTACH, pasid, 0), 0);
		SAME(t, ioasid_free(fd, (long)pasid), -EACCES);
		SAME(t, i % 2 ? peer_kill(&peer) : peer_end(&peer), i % 2 ? -SIGKILL : 0);
		SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
		SAME(t, spaces_work(&spaces, (uint32_t)pasid, 0), DMAX_SUCCESS);
		SAME(t, spaces_detach(&spaces, pasid), 0);
		SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), (long)pasid);
		SAME(t, ioasid_free(fd, (long)pasid), 0);
	}
	spaces_close(&spaces);
}

/* Everything goes at once with one process, whatever it was at. */
static void all_at_once(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		pid_t pid = fork();
		int fd;

		if (pid == 0) {
			if (!spaces_open(t, &spaces))
				_exit(1);
			fd = ioasid_open();
			for (uint64_t k = 1; k < 5; k++)
				if (ioasid_any(fd) != (long)k || spaces_attach(&spaces, k, k % 2))
					_exit(2);
			ioasid_free(fd, 2);
			if (i % 3 == 1)
				close(fd);
			raise(i % 2 ? SIGKILL : SIGTERM);
		}
		SAME(t, wait_for(pid), i % 2 ? -SIGKILL : -SIGTERM);
		fd = ioasid_open();
		for (int k = 1; k < 6; k++)
			SAME(t, ioasid_any(fd), k);
		close(fd);
	}
}

/* That of an address space which is bound to a container is nobody's to attach. Device 1 is dmax, too. */
static void of_a_bond(struct test *t)
{
	struct accel other;
	uint64_t pasid;
	long rc;

	if (!spaces_open(t, &spaces) || !SAME(t, accel_open(&other, TYPE1V2, 1), 0))
		return;
	rc = bind_process(other.rig.container, 0);
	CHECK(t, rc > 0);
	pasid = (uint64_t)rc;
	SAME(t, spaces_attach(&spaces, pasid, 0), -EACCES);
	SAME(t, spaces_work(&spaces, pasid, 0), -EIO);
	SAME(t, unbind_process(other.rig.container, 0), 0);
	SAME(t, spaces_attach(&spaces, pasid, 0), 0);
	SAME(t, spaces_work(&spaces, pasid, 0), DMAX_SUCCESS);
	/* And the other way round. */
	rc = bind_process(other.rig.container, 0);
	CHECK(t, rc > 0);
	SAME(t, spaces_work(&spaces, pasid, 0), DMAX_SUCCESS);
	SAME(t, spaces_detach(&spaces, pasid), 0);
	accel_close(&other);
	spaces_close(&spaces);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"own", own},
		{"of_another", of_another},
		{"of_nobody", of_nobody},
		{"of_a_bond", of_a_bond},
		{"freed_while_attached", freed_while_attached},
		{"closed_while_attached", closed_while_attached},
		{"executes_while_attached", executes_while_attached},
		{"exits_while_attached", exits_while_attached},
		{"all_at_once", all_at_once},
	};

	if (argc == 4 && strcmp(argv[1], "--executed") == 0)
		return executed(atoi(argv[2]), (unsigned)atoi(argv[3]));
	return TEST_MAIN(argc, argv, cases);
}
