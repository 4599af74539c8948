/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "bond_device.h"

#define COMMAND_AT  (((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + 4)
#define COMMAND     6 /* memory and DMA */
#define DMA_TO_IT   1
#define DMA_FROM_IT 2

int container_with(struct rules *t, unsigned id)
{
	int group = group_new(t, id);

	EXPECT(t, transport_ioctl(t->transport, t->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	return group;
}

int bind_to(struct rules *t, int container, int pid)
{
	struct bind_arg c = {.bind = {.argsz = sizeof(c), .mode = VFIO_IOMMU_BIND_PROCESS},
			     .process = {.flags = pid ? VFIO_IOMMU_BIND_PID : 0, .pasid = 77777, .pid = pid}};
	int rc = call_on(t, container, VFIO_IOMMU_BIND, &c);

	return rc ? rc : (int)c.process.pasid;
}

int unbind_from(struct rules *t, int container, int pid)
{
	struct bind_arg c = {.bind = {.argsz = sizeof(c), .mode = VFIO_IOMMU_BIND_PROCESS},
			     .process = {.flags = pid ? VFIO_IOMMU_BIND_PID : 0, .pasid = 77777, .pid = pid}};

	return call_on(t, container, VFIO_IOMMU_UNBIND, &c);
}

void let_do_dma(struct rules *t, int device)
{
	const uint16_t command = COMMAND;

	EXPECT(t, transport_pwrite(t->transport, device, &command, sizeof(command), COMMAND_AT), sizeof(command));
}

int sharing_open(struct rules *t, int group, const char *name)
{
	int device = get_device_fd(t, group, name);

	EXPECT(t, device < 0 ? device : 0, 0);
	let_do_dma(t, device);
	return device;
}

static void set(struct rules *t, int device, unsigned reg, uint64_t value)
{
	EXPECT(t, transport_pwrite(t->transport, device, &value, sizeof(value), reg * 8), sizeof(value));
}

static uint64_t get(struct rules *t, int device, unsigned reg)
{
	uint64_t value = 0;

	EXPECT(t, transport_pread(t->transport, device, &value, sizeof(value), reg * 8), sizeof(value));
	return value;
}

static int go(struct rules *t, int device, int pasid, uint64_t address, uint64_t direction)
{
	set(t, device, BOND_PASID, (uint64_t)pasid);
	set(t, device, BOND_ADDRESS, address);
	set(t, device, BOND_GO, direction);
	return (int)get(t, device, BOND_GO);
}

int dma_load(struct rules *t, int device, int pasid, const volatile void *address, uint64_t *value)
{
	int rc = go(t, device, pasid, (uintptr_t)address, DMA_TO_IT);

	*value = get(t, device, BOND_DATA);
	return rc;
}

int dma_store(struct rules *t, int device, int pasid, volatile void *address, uint64_t value)
{
	set(t, device, BOND_DATA, value);
	return go(t, device, pasid, (uintptr_t)address, DMA_FROM_IT);
}

bool reaches_me(struct rules *t, int device, int pasid)
{
	static volatile uint64_t word;
	uint64_t value;
	bool reached;

	word += UINT64_C(0x9e3779b97f4a7c15); /* another one each time */
	reached = !dma_load(t, device, pasid, &word, &value) && value == word;
	return reached;
}

bool has_processes(struct rules *t)
{
	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS)
		return true;
	skip(t, "a process has one client of the library");
	return false;
}
