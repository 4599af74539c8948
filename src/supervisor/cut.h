/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a file that its owner takes away while it is pinned. */
#ifndef IOMMUSE_SUPERVISOR_CUT_H
#define IOMMUSE_SUPERVISOR_CUT_H

#include "supervisor/supervisor.h"

/* The call is about to make the file at a path of the client's as short as length. */
void cut_path(struct call *call, int dirfd, uaddr_t path, uint64_t length);

#endif
