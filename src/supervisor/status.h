/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/PID/status as a process sees it whose memory Linux would have pinned. */
#ifndef IOMMUSE_SUPERVISOR_STATUS_H
#define IOMMUSE_SUPERVISOR_STATUS_H

#include "supervisor/supervisor.h"

/* Opens it for the client, with VmPin and VmLck as they are counted here. As the handlers of calls.h. */
int64_t status_open(struct call *call, pid_t tid, int flags);

#endif
