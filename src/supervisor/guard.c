/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/guard.h"

#include "base/types.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

/* Where the thread goes on when the copy that it is in fails; a handler gets no argument. */
static _Thread_local sigjmp_buf *volatile way_out;

static void handle(int signal, siginfo_t *info, void *context)
{
	sigjmp_buf *out = way_out;

	(void)info;
	if (out) {
		way_out = NULL;
		/* The handler does not return, which would do that. */
		pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(*out, 1);
	}
	sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	raise(signal);
}

void guard_install(void)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}

static bool copy_or_fail(void *dst, const void *src, size_t n)
{
	sigjmp_buf out;

	if (sigsetjmp(out, 0))
		return false;
	way_out = &out;
	memcpy(dst, src, n);
	way_out = NULL;
	return true;
}

static size_t to_page_end(const void *at)
{
	return PAGE_SIZE - ((uintptr_t)at & ~PAGE_MASK);
}

/* Of a copy that fails nobody knows what came, so it is done again in pieces that come whole or not at all. */
size_t guard_copy(void *dst, const void *src, size_t n)
{
	size_t done = 0;

	if (copy_or_fail(dst, src, n))
		return n;
	while (done < n) {
		char *to = (char *)dst + done;
		const char *from = (const char *)src + done;
		size_t piece = n - done;

		piece = piece < to_page_end(to) ? piece : to_page_end(to);
		piece = piece < to_page_end(from) ? piece : to_page_end(from);
		if (!copy_or_fail(to, from, piece))
			break;
		done += piece;
	}
	return done;
}
