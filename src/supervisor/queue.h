/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a client holds of an event queue: an end of a pipe, so that poll, select and epoll are the kernel's own. A byte
 * in the pipe stands for an event to read. Nobody reads it natively: read and write are trapped.
 */
#ifndef IOMMUSE_SUPERVISOR_QUEUE_H
#define IOMMUSE_SUPERVISOR_QUEUE_H

#include <pthread.h>

#define QUEUE_BUCKETS 64U

struct file;
struct queue;

/* The queues whose pipes show what their files say. */
struct queues {
	pthread_mutex_t lock; /* a leaf */
	struct queue *by_file[QUEUE_BUCKETS];
};

void queues_init(struct queues *queues);

/* Returns 0 with a reference to the queue and an end of its pipe for the client, or -errno. */
int queue_new(struct file *file, struct queue **queue, int *client_fd);
void queue_put(struct queue *queue);

/* Our end of the pipe: it hangs up, or has an error, when the client's is closed. The queue's. */
int queue_end(const struct queue *queue);

/* From now on the pipe shows what the file's poll says. The caller has a reference to the file. */
void queue_show(struct queues *queues, struct queue *queue);

/* Not any more. */
void queue_hide(struct queues *queues, struct queue *queue);

#endif
