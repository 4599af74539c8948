/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * May a client look into another process as a debugger that attaches does (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS)?
 * It is decided by what the client may, which we may not have or not need.
 */
#ifndef IOMMUSE_SUPERVISOR_PTRACE_H
#define IOMMUSE_SUPERVISOR_PTRACE_H

#include "supervisor/supervisor.h"

/* Values of kernel.yama.ptrace_scope; also 0 where there is no Yama. */
enum ptrace_scope {
	PTRACE_SCOPE_CLASSIC,
	PTRACE_SCOPE_RELATIONAL, /* descendants only */
	PTRACE_SCOPE_CAPABILITY,
	PTRACE_SCOPE_NO_ATTACH,
};

struct ptrace_rights {
	uid_t uid[3]; /* real, effective, saved */
	gid_t gid[3];
	uint64_t permitted;      /* capabilities, in its user namespace */
	uint64_t user_namespace; /* inode number */
};

struct ptrace_question {
	bool same; /* one process, or one memory */
	struct ptrace_rights caller, target;
	bool dumpable;    /* the target */
	bool privileged;  /* the caller has CAP_SYS_PTRACE in the target's user namespace */
	bool over_memory; /* and in that in which its program was started, which may be one around it */
	int scope;        /* enum ptrace_scope */
	bool descends;    /* the target, from the caller */
};

bool ptrace_is_allowed(const struct ptrace_question *question);

/* client_ops.find_mm */
int remote_find_mm(struct client *client, pid_t pid, struct mm **mm);

#endif
