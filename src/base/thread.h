/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOMMUSE_BASE_THREAD_H
#define IOMMUSE_BASE_THREAD_H

#include <pthread.h>

/* Starts a thread that takes no signals but those that it raises itself, by which copies are guarded: those of the
 * process are for other threads. name: at most 15 bytes. Returns 0 or -errno. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context);

#endif
