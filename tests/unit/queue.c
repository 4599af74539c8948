/* SPDX-License-Identifier: BSD-3-Clause */
/* The pipe behind an event queue's descriptor shows what the queue says. */
#include "supervisor/queue.h"

#include "check.h"
#include "client/file.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS  2000

struct fake {
	struct file file;
	_Atomic unsigned ready;
};

static unsigned fake_poll(struct file *file)
{
	return atomic_load(&((struct fake *)file)->ready);
}

static const struct file_ops fake_ops = {.name = "fake", .event_queue = true, .poll = fake_poll};

static struct queue *show(struct queues *queues, struct fake *fake, unsigned ready, int *client_fd)
{
	struct queue *queue = NULL;

	file_init(&fake->file, &fake_ops);
	atomic_init(&fake->ready, ready);
	queues_init(queues);
	CHECK_EQ(queue_new(&fake->file, &queue, client_fd), 0);
	queue_show(queues, queue);
	return queue;
}

static void say(struct fake *fake, unsigned ready)
{
	atomic_store(&fake->ready, ready);
	file_poll_changed(&fake->file);
}

static int seen(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void poll_shows_what_the_queue_says(void)
{
	static const unsigned always[] = {0, POLLOUT};

	for (int i = 0; i < 2; i++) {
		struct queues queues;
		struct fake fake;
		int fd;
		struct queue *queue = show(&queues, &fake, always[i] | POLLIN, &fd);

		CHECK_EQ(seen(fd), (int)(always[i] | POLLIN));
		for (int round = 0; round < 3; round++) {
			say(&fake, always[i]);
			CHECK_EQ(seen(fd), (int)always[i]);
			say(&fake, always[i]);
			CHECK_EQ(seen(fd), (int)always[i]);
			for (int changes = 0; changes < 10000; changes++)
				say(&fake, always[i] | POLLIN);
			CHECK_EQ(seen(fd), (int)(always[i] | POLLIN));
		}
		queue_hide(&queues, queue);
		say(&fake, always[i]); /* nobody hears it any more */
		CHECK_EQ(seen(fd), (int)(always[i] | POLLIN));
		queue_put(queue);
		close(fd);
	}
}

static void each_change_is_an_edge(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct queues queues;
	struct fake fake;
	int fd;
	struct queue *queue = show(&queues, &fake, POLLOUT, &fd);

	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
	CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0);
	for (int i = 0; i < 3; i++) {
		say(&fake, POLLOUT | POLLIN);
		CHECK_EQ(epoll_wait(ep, &event, 1, 0), 1);
		CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0);
	}
	queue_hide(&queues, queue);
	queue_put(queue);
	close(fd);
	close(ep);
}

static void the_last_close_is_seen(void)
{
	static const unsigned always[] = {0, POLLOUT};

	for (int i = 0; i < 2; i++) {
		struct epoll_event event = {0};
		int ep = epoll_create1(EPOLL_CLOEXEC);
		struct queues queues;
		struct fake fake;
		int fd;
		struct queue *queue = show(&queues, &fake, always[i], &fd);
		int copy = dup(fd);

		CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, queue_end(queue), &event), 0);
		say(&fake, always[i] | POLLIN);
		say(&fake, always[i]);
		close(fd);
		CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0);
		close(copy);
		CHECK_EQ(epoll_wait(ep, &event, 1, 0), 1);
		say(&fake, always[i] | POLLIN);
		CHECK_EQ(epoll_wait(ep, &event, 1, 0), 1);
		queue_hide(&queues, queue);
		queue_put(queue);
		close(ep);
	}
}

struct changer {
	struct fake *fake;
	unsigned seed;
};

static void *change(void *arg)
{
	struct changer *c = arg;

	for (int i = 0; i < ROUNDS; i++)
		say(c->fake, rand_r(&c->seed) & 1 ? POLLIN | POLLOUT : POLLOUT);
	return NULL;
}

static void start(pthread_t *threads, struct changer *changers, struct fake *fake)
{
	for (int i = 0; i < THREADS; i++) {
		changers[i] = (struct changer){fake, (unsigned)i + 1};
		CHECK_EQ(pthread_create(&threads[i], NULL, change, &changers[i]), 0);
	}
}

static void the_last_change_of_many_threads_stays(void)
{
	struct changer changers[THREADS];
	pthread_t threads[THREADS];
	struct queues queues;
	struct fake fake;
	int fd;
	struct queue *queue = show(&queues, &fake, POLLOUT, &fd);

	start(threads, changers, &fake);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(seen(fd), (int)atomic_load(&fake.ready));
	queue_hide(&queues, queue);
	queue_put(queue);
	close(fd);
}

static void a_queue_goes_while_it_changes(void)
{
	struct changer changers[THREADS];
	pthread_t threads[THREADS];
	struct queues queues;
	struct fake fake;
	int fd;
	struct queue *queue = show(&queues, &fake, POLLOUT, &fd);

	start(threads, changers, &fake);
	close(fd);
	queue_hide(&queues, queue);
	queue_put(queue);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	poll_shows_what_the_queue_says();
	each_change_is_an_edge();
	the_last_close_is_seen();
	the_last_change_of_many_threads_stays();
	a_queue_goes_while_it_changes();
	return check_result();
}
