/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of commands, and the law of sizes, once for all of them: a client may have less of a structure than is
 * known here (the rest counts as zero) or more (the rest must be zero), but not less than the first version had.
 */
#include "iommufd/dispatch.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "iommufd/ctx.h"
#include "iommufd/object.h"

#include <string.h>

#define COMMAND(command, structure, last_member, handler)                                                              \
	[_IOC_NR(IOMMU_##command) - IOMMUFD_CMD_BASE] = {                                                              \
		.cmd = IOMMU_##command,                                                                                \
		.size = sizeof(struct structure),                                                                      \
		.min = offsetof(struct structure, last_member) + sizeof(((struct structure *)NULL)->last_member),      \
		.name = #command,                                                                                      \
		.handle = (handler),                                                                                   \
	}

/* With the last member of each structure's first version. */
static const struct ioctl_entry commands[] = {
	COMMAND(DESTROY, iommu_destroy, id, iommufd_destroy),
	COMMAND(IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, iommufd_ioas_alloc),
	COMMAND(IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas, iommufd_ioas_allow_iovas),
	COMMAND(IOAS_COPY, iommu_ioas_copy, src_iova, iommufd_ioas_copy),
	COMMAND(IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment, iommufd_ioas_iova_ranges),
	COMMAND(IOAS_MAP, iommu_ioas_map, iova, iommufd_ioas_map),
	COMMAND(IOAS_UNMAP, iommu_ioas_unmap, length, iommufd_ioas_unmap),
	COMMAND(OPTION, iommu_option, val64, iommufd_option),
	COMMAND(VFIO_IOAS, iommu_vfio_ioas, __reserved, iommufd_vfio_ioas),
	COMMAND(HWPT_ALLOC, iommu_hwpt_alloc, __reserved, iommufd_hwpt_alloc),
	COMMAND(GET_HW_INFO, iommu_hw_info, __reserved, iommufd_get_hw_info),
	COMMAND(HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved, iommufd_hwpt_set_dirty_tracking),
	COMMAND(HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data, iommufd_hwpt_get_dirty_bitmap),
	COMMAND(HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved, iommufd_hwpt_invalidate),
	COMMAND(FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd, iommufd_fault_alloc),
	COMMAND(IOAS_MAP_FILE, iommu_ioas_map_file, iova, iommufd_ioas_map_file),
	COMMAND(VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id, iommufd_viommu_alloc),
	COMMAND(VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id, iommufd_vdevice_alloc),
	COMMAND(IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved, iommufd_ioas_change_process),
	COMMAND(VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd, iommufd_veventq_alloc),
	COMMAND(HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length, iommufd_hw_queue_alloc),
	COMMAND(TEST_CMD, iommu_test_cmd, last, iommufd_test),
};

#define COUNT              (sizeof(commands) / sizeof(*commands))
#define COUNT_WITHOUT_TEST (_IOC_NR(IOMMU_HW_QUEUE_ALLOC) - IOMMUFD_CMD_BASE + 1)

/* Where the addresses of a client end: what reaches beyond is refused before any of it is looked at. */
#ifdef __x86_64__
#define USER_END (UINT64_C(0x7ffffffff000))
#else
#define USER_END UINT64_MAX
#endif

int iommufd_check_zero(struct client *client, uaddr_t at, uint64_t n)
{
	unsigned char piece[PAGE_SIZE];

	if (at.va > USER_END || n > USER_END - at.va)
		return -EFAULT;
	while (n) {
		size_t want = n < sizeof(piece) ? n : sizeof(piece);
		size_t got = client_read(client, piece, at, want);

		if (got && (piece[0] || memcmp(piece, piece + 1, got - 1) != 0))
			return -E2BIG;
		if (got < want)
			return -EFAULT;
		at = uaddr_add(at, want);
		n -= want;
	}
	return 0;
}

/*
 * A structure that is longer than ours must be zero from there on, which comes before what we know of it. One read
 * gets the size, its first member, and all else, but from a client of whom only what the size covers may be read.
 */
static int read_argument(struct ucmd *ucmd, const struct ioctl_entry *entry)
{
	struct client *client = ucmd->client;
	const bool plain = client->ops->plain;
	size_t got = client_read(client, ucmd->cmd, ucmd->arg, plain ? sizeof(uint32_t) : entry->size);
	size_t want = entry->size;

	if (got < sizeof(uint32_t))
		return -EFAULT;
	memcpy(&ucmd->user_size, ucmd->cmd, sizeof(uint32_t));
	if (ucmd->user_size < entry->min)
		return -EINVAL;
	if (ucmd->user_size > want) {
		int rc = iommufd_check_zero(client, uaddr_add(ucmd->arg, want), ucmd->user_size - want);

		if (rc)
			return rc;
	}
	if (ucmd->user_size < want) {
		want = ucmd->user_size;
		memset(ucmd->cmd + want, 0, entry->size - want);
	}
	if (plain)
		got = client_read(client, ucmd->cmd, ucmd->arg, want);
	if (got < want)
		return -EFAULT;
	ucmd->cmd_size = entry->size;
	return 0;
}

int ucmd_respond(struct ucmd *ucmd)
{
	size_t size = ucmd->user_size < ucmd->cmd_size ? ucmd->user_size : ucmd->cmd_size;

	return client_copy_out(ucmd->client, ucmd->arg, ucmd->cmd, size);
}

/* A number between the commands, or one of ours with another type or size: known only once the size could be read. */
static long no_command(struct ucmd *ucmd)
{
	return client_copy_in(ucmd->client, &ucmd->user_size, ucmd->arg, sizeof(ucmd->user_size)) ? -EFAULT : -ENOTTY;
}

static long call_compat(struct ucmd *ucmd, unsigned cmd)
{
	const struct iommufd_compat *compat = ucmd->ctx->config->compat;

	for (size_t i = 0; compat && i < compat->count; i++)
		if (compat->commands[i].cmd == cmd)
			return compat->commands[i].handle(ucmd);
	return -ENOTTY;
}

static long call(struct ucmd *ucmd, unsigned cmd)
{
	const unsigned nr = _IOC_NR(cmd) - IOMMUFD_CMD_BASE; /* wraps below the base */
	const struct ioctl_entry *entry;
	long rc;

	if (nr >= (ucmd->ctx->config->selftest ? COUNT : COUNT_WITHOUT_TEST))
		return call_compat(ucmd, cmd);
	entry = &commands[nr];
	if (entry->cmd != cmd)
		return no_command(ucmd);
	rc = read_argument(ucmd, entry);
	if (rc)
		return rc;
	rc = entry->handle(ucmd);
	if (ucmd->created) {
		if (rc < 0)
			object_abort(ucmd->created);
		else
			object_publish(ucmd->created, ucmd->client);
	}
	return rc;
}

static void announce_call(const struct ucmd *ucmd, unsigned cmd, long result)
{
	struct event event = {
		.type = EVENT_CALL,
		.pid = ucmd->client->pid,
		.tid = ucmd->client->tid,
		.fd = ucmd->client->fd,
		.file = ucmd->ctx->file.serial,
		.call = {.cmd = cmd, .result = result, .arg_value = ucmd->arg.va, .arg_size = ucmd->cmd_size}};

	memcpy(event.call.arg, ucmd->cmd, ucmd->cmd_size);
	event_announce(ucmd->ctx->config->events, &event);
}

long iommufd_ioctl(struct file *file, struct client *client, unsigned cmd, uint64_t arg)
{
	struct ucmd ucmd; /* not cleared: cmd is filled as far as cmd_size says */
	long rc;

	ucmd.ctx = ctx_of(file);
	ucmd.client = client;
	ucmd.arg = uaddr(arg);
	ucmd.cmd_size = 0;
	ucmd.created = NULL;
	rc = call(&ucmd, cmd);
	if (event_wanted(ucmd.ctx->config->events))
		announce_call(&ucmd, cmd, rc);
	return rc;
}

const char *iommufd_command_name(unsigned cmd)
{
	for (size_t i = 0; i < COUNT; i++)
		if (commands[i].cmd == cmd && cmd)
			return commands[i].name;
	return NULL;
}
