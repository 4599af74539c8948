/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One open of the iommufd: its objects, and the calls on it.
 *
 * The file of the ctx is the ctx: whatever pins the file (a call, an event queue's file, later a bound device) keeps
 * the objects. They go, leaves first, when the last reference goes, so nothing runs beside that.
 */
#ifndef IOMMUSE_IOMMUFD_CTX_H
#define IOMMUSE_IOMMUFD_CTX_H

#include "base/epoch.h"
#include "base/event.h"
#include "base/id_table.h"
#include "client/client.h"
#include "client/file.h"
#include "ioas/ioas.h"
#include "iommufd/iommufd.h"
#include "iommufd/mmap.h"

struct igroup;
struct object;

struct ctx {
	struct file file;
	struct iommufd_config *config;
	struct id_table objects;
	_Atomic uint32_t compat_ioas; /* the id of the IOAS of VFIO's commands; 0: none. No user of the object. */
	_Atomic bool mm_accounting;
	struct epoch epoch; /* of the threads that do DMA through its page tables */
	struct ioas_context ioases;
	pthread_mutex_t attach_lock; /* guards groups, what is attached, and the IOASes' automatic page tables */
	struct igroup *igroups;
	struct mmaps mmaps;
	pthread_mutex_t change_lock;    /* held while pages change their owner; above the locks of IOASes */
	struct ctx *next, **link;       /* in the test device's list; guarded by its lock */
	_Atomic unsigned compat_groups; /* of VFIO, whose container it is */
	void *_Atomic compat_state;     /* of config->compat; NULL: none so far */
};

static inline struct ctx *ctx_of(struct file *file)
{
	return (struct ctx *)file;
}

/* The iommufd that a file is, whatever name it was opened by; NULL: it is none. */
struct ctx *ctx_from_file(struct file *file);

/* A call. */
struct ucmd {
	struct ctx *ctx;
	struct client *client;
	uaddr_t arg;            /* where the structure is, or the value itself */
	uint32_t user_size;     /* how much of the structure the client has */
	uint32_t cmd_size;      /* bytes of cmd that are valid */
	struct object *created; /* published if the call succeeds, else aborted */
	_Alignas(8) unsigned char cmd[EVENT_ARG_MAX];
};

/* A command. size 0: the handler reads the argument itself. Else cmd has the structure, complete, when the handler is
 * called. */
struct ioctl_entry {
	unsigned cmd;
	uint16_t size; /* of the structure as known here */
	uint16_t min;  /* the least that a client may have of it */
	const char *name;
	int (*handle)(struct ucmd *ucmd); /* 0 or more, or -errno */
};

/* Copies the structure back, as much of it as the client has. Returns 0 or -EFAULT. */
int ucmd_respond(struct ucmd *ucmd);

/* The next serial for a file of the same system. */
uint64_t ctx_file_serial(struct ctx *ctx);

#endif
