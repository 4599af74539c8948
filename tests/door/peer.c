/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer.h"

#include <signal.h>
#include <sys/socket.h>

enum { THE_END = 0x7fffffff };

struct question {
	uint64_t op, a, b;
};

void peer_be(int socket, peer_serve *serve)
{
	struct question q;

	/* Others may have the other end as well, by fork: that nobody asks any more is said. */
	while (recv(socket, &q, sizeof(q), 0) == sizeof(q) && q.op != THE_END) {
		long answer = serve(socket, (unsigned)q.op, q.a, q.b);

		if (send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			break;
	}
	_exit(0);
}

struct peer peer_start(peer_serve *serve)
{
	struct peer peer = {.pid = -1, .socket = -1};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return peer;
	peer.pid = fork();
	if (peer.pid == 0) {
		close(pair[0]);
		peer_be(pair[1], serve);
	}
	close(pair[1]);
	peer.socket = pair[0];
	return peer;
}

void peer_tell(const struct peer *peer, unsigned op, uint64_t a, uint64_t b)
{
	struct question q = {op, a, b};

	(void)!send(peer->socket, &q, sizeof(q), MSG_NOSIGNAL);
}

long peer_answer(const struct peer *peer)
{
	long answer = 0;

	return recv(peer->socket, &answer, sizeof(answer), 0) == sizeof(answer) ? answer : -EPIPE;
}

long peer_ask(const struct peer *peer, unsigned op, uint64_t a, uint64_t b)
{
	peer_tell(peer, op, a, b);
	return peer_answer(peer);
}

int peer_end(struct peer *peer)
{
	peer_tell(peer, THE_END, 0, 0);
	close(peer->socket);
	peer->socket = -1;
	return wait_for(peer->pid);
}

int peer_kill(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	return peer_end(peer);
}
