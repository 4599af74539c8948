/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/run_name.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "iommuse/"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool run_name_valid(const char *name)
{
	size_t length = strspn(name, LETTERS DIGITS "-_.");

	return length && !name[length] && length <= RUN_NAME_MAX && !strchr("-_.", *name);
}

socklen_t run_address(const struct run_name *run, struct sockaddr_un *address)
{
	int length;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	/* The first byte stays 0: the name is no path. */
	length = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, PREFIX "%u/%s", run->uid, run->name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

bool run_of_shown(const char *shown, struct run_name *run)
{
	char again[sizeof(struct sockaddr_un)];
	int read = 0;

	if (sscanf(shown, "@" PREFIX "%u/%n", &run->uid, &read) != 1 || !read || !run_name_valid(shown + read))
		return false;
	snprintf(run->name, sizeof(run->name), "%s", shown + read);
	/* One number has one way to be written. */
	snprintf(again, sizeof(again), "@" PREFIX "%u/%s", run->uid, run->name);
	return !strcmp(again, shown);
}

/* Who all users are that a user namespace does not know. */
static uid_t overflow_uid(void)
{
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	unsigned uid;

	if (!file)
		return 65534;
	if (fscanf(file, "%u", &uid) != 1)
		uid = 65534;
	fclose(file);
	return uid;
}

bool run_peer_trusted(int socket, uid_t uid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	if (peer.uid == 0)
		return true;
	if (peer.uid != uid)
		return false;
	/* Another user may look like this one; but only who is the same user may send it signals. */
	return uid != overflow_uid() || (peer.pid && !kill(peer.pid, 0));
}
