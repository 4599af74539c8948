/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The values are those of a device that firmware and Linux have set up, and that vfio-pci shows: registers that it does
 * not let a driver write (link control, MSI-X control, ATS, PASID, status) are read only here.
 */
#include "vfio/pci_config.h"

#include <string.h>

/* Header of type 0 */
#define VENDOR           0x00U
#define DEVICE           0x02U
#define REVISION         0x08U
#define CLASS            0x09U
#define CACHE_LINE       0x0cU
#define BAR              0x10U
#define SUBSYSTEM_VENDOR 0x2cU
#define SUBSYSTEM        0x2eU
#define CAPABILITIES     0x34U
#define INTERRUPT_LINE   0x3cU
#define INTERRUPT_PIN    0x3dU

#define COMMAND_PARITY      0x0040U
#define COMMAND_SERR        0x0100U
#define STATUS_CAPABILITIES 0x0010U
#define BAR_WIDE            0x4U
#define BAR_PREFETCHABLE    0x8U
#define CACHE_LINE_DWORDS   16U

/* Where capabilities are, and which they are. */
#define PM_AT      0x40U
#define MSI_AT     0x50U
#define MSIX_AT    0x60U
#define EXPRESS_AT 0x70U

#define PM_ID      0x01U
#define MSI_ID     0x05U
#define EXPRESS_ID 0x10U
#define MSIX_ID    0x11U

/* Extended ones */
#define EXTENDED_AT 0x100U

#define ATS_ID   0x0fU
#define PRI_ID   0x13U
#define PASID_ID 0x1bU

#define WINDOW_LOW       0xc0000000U
#define WINDOW_LOW_LAST  0xfdffffffU
#define WINDOW_HIGH      UINT64_C(0x380000000000)
#define WINDOW_HIGH_LAST UINT64_C(0x3fffffffffff)

static void set8(uint8_t *bytes, unsigned offset, unsigned value)
{
	bytes[offset] = (uint8_t)value;
}

static void set16(uint8_t *bytes, unsigned offset, unsigned value)
{
	set8(bytes, offset, value);
	set8(bytes, offset + 1, value >> 8);
}

static void set32(uint8_t *bytes, unsigned offset, uint32_t value)
{
	set16(bytes, offset, value & 0xffff);
	set16(bytes, offset + 2, value >> 16);
}

static uint32_t bar_bits(const struct iommuse_bar *bar)
{
	return (bar->wide ? BAR_WIDE : 0) | (bar->prefetchable ? BAR_PREFETCHABLE : 0);
}

static void fill_bars(struct pci_config *config, const struct iommuse_model *model)
{
	for (unsigned i = 0; i < IOMMUSE_BARS; i++) {
		const struct iommuse_bar *bar = &model->bar[i];
		const unsigned at = BAR + 4 * i;

		if (!bar->size)
			continue;
		set32(config->byte, at, (uint32_t)config->address[i] | bar_bits(bar));
		set32(config->writable, at, ~(bar->size - 1));
		if (bar->wide && i + 1 < IOMMUSE_BARS) {
			set32(config->byte, at + 4, (uint32_t)(config->address[i] >> 32));
			set32(config->writable, at + 4, UINT32_MAX);
		}
	}
}

static bool has_bars(const struct iommuse_model *model)
{
	for (unsigned i = 0; i < IOMMUSE_BARS; i++)
		if (model->bar[i].size)
			return true;
	return false;
}

static void fill_header(struct pci_config *config, const struct iommuse_model *model)
{
	uint8_t *byte = config->byte;

	set16(byte, VENDOR, model->vendor);
	set16(byte, DEVICE, model->device);
	set16(byte, PCI_COMMAND_REGISTER, has_bars(model) ? PCI_COMMAND_MEMORY_SPACE : 0);
	set16(config->writable, PCI_COMMAND_REGISTER,
	      PCI_COMMAND_MEMORY_SPACE | PCI_COMMAND_BUS_MASTER | COMMAND_PARITY | COMMAND_SERR | PCI_COMMAND_NO_INTX);
	set16(byte, PCI_STATUS_REGISTER, STATUS_CAPABILITIES);
	set8(byte, REVISION, model->revision);
	set8(byte, CLASS, model->class_code);
	set16(byte, CLASS + 1, model->class_code >> 8);
	set8(byte, CACHE_LINE, CACHE_LINE_DWORDS);
	set8(config->writable, CACHE_LINE, 0xff);
	set16(byte, SUBSYSTEM_VENDOR, model->subsystem_vendor);
	set16(byte, SUBSYSTEM, model->subsystem_device);
	set8(config->writable, INTERRUPT_LINE, 0xff);
	set8(byte, INTERRUPT_PIN, model->intx ? 1 : 0);
	fill_bars(config, model);
}

/* Adds a capability to the chain's end, which is at *link. */
static void chain(struct pci_config *config, unsigned *link, unsigned at, unsigned id)
{
	set8(config->byte, *link, at);
	set8(config->byte, at, id);
	*link = at + 1;
}

/* Version 3, states D0 and D3hot; what is set survives the way back. */
static void fill_pm(struct pci_config *config)
{
	config->pm = PM_AT;
	set16(config->byte, PM_AT + 2, 0x0003);
	set16(config->byte, PM_AT + PCI_PM_CONTROL, 0x0008);
	set16(config->writable, PM_AT + PCI_PM_CONTROL, PCI_PM_STATE);
}

/* Addresses of 64 bits, no masks. */
static void fill_msi(struct pci_config *config, unsigned vectors)
{
	const unsigned power = 31U - (unsigned)__builtin_clz(vectors);

	config->msi = MSI_AT;
	set16(config->byte, MSI_AT + PCI_MSI_CONTROL, 0x0080 | power << 1);
	set16(config->writable, MSI_AT + PCI_MSI_CONTROL, 0x0070); /* VFIO enables it */
	set32(config->writable, MSI_AT + 4, 0xfffffffc);
	set32(config->writable, MSI_AT + 8, 0xffffffff);
	set16(config->writable, MSI_AT + 12, 0xffff);
}

static void fill_msix(struct pci_config *config, const struct iommuse_model *model)
{
	config->msix = MSIX_AT;
	set16(config->byte, MSIX_AT + PCI_MSIX_CONTROL, model->msix_vectors - 1U);
	set32(config->byte, MSIX_AT + 4, model->msix_table | model->msix_bar);
	set32(config->byte, MSIX_AT + 8, model->msix_pba | model->msix_bar);
}

/* An endpoint of version 2, on a link of 8 lanes at 8 GT/s. */
static void fill_express(struct pci_config *config, const struct iommuse_model *model)
{
	uint8_t *byte = config->byte;
	/* Payloads of 256 bytes, extended tags, role based errors, and a reset if the model has one. */
	const uint32_t capabilities = 0x00008021U | (model->reset ? 1U << 28 : 0);

	config->express = EXPRESS_AT;
	set16(byte, EXPRESS_AT + 2, 0x0002);
	set32(byte, EXPRESS_AT + 4, capabilities);
	/* Relaxed order, extended tags, no snoop, payloads of 256 and reads of 512 bytes. */
	set16(byte, EXPRESS_AT + PCI_EXPRESS_CONTROL, 0x2930);
	set16(config->writable, EXPRESS_AT + PCI_EXPRESS_CONTROL, 0x79ff);
	set32(byte, EXPRESS_AT + 0x0c, 0x00400083); /* link capabilities: ASPM optionality, x8, 8 GT/s */
	set16(byte, EXPRESS_AT + 0x10, 0x0040);     /* link control: common clock */
	set16(byte, EXPRESS_AT + 0x12, 0x1083);     /* link status: slot clock, x8, 8 GT/s */
	/* Completion timeouts of all ranges, can be disabled; prefixes, as PASIDs need them. */
	set32(byte, EXPRESS_AT + 0x24, 0x0000001fU | (model->pasid_bits ? 0x00600000U : 0));
	set16(config->writable, EXPRESS_AT + 0x28, 0x001f);
	set32(byte, EXPRESS_AT + 0x2c, 0x0000000e); /* 2.5, 5 and 8 GT/s */
	set16(byte, EXPRESS_AT + 0x30, 0x0003);     /* target: 8 GT/s */
	set16(byte, EXPRESS_AT + 0x32, 0x001e);     /* equalized in all phases */
}

static void fill_capabilities(struct pci_config *config, const struct iommuse_model *model)
{
	unsigned link = CAPABILITIES;

	chain(config, &link, PM_AT, PM_ID);
	fill_pm(config);
	if (model->msi_vectors) {
		chain(config, &link, MSI_AT, MSI_ID);
		fill_msi(config, model->msi_vectors);
	}
	if (model->msix_vectors) {
		chain(config, &link, MSIX_AT, MSIX_ID);
		fill_msix(config, model);
	}
	chain(config, &link, EXPRESS_AT, EXPRESS_ID);
	fill_express(config, model);
}

/* Adds an extended capability behind the one at *last (0: the first), length bytes long. Returns where it is. */
static uint16_t extend(struct pci_config *config, unsigned *last, unsigned *end, unsigned id, unsigned length)
{
	const unsigned at = *end;

	set32(config->byte, at, id | 1U << 16);
	if (*last)
		set16(config->byte, *last + 2, at << 4 | 1U);
	*last = at;
	*end = at + length;
	return (uint16_t)at;
}

/* They are enabled, as by the driver of the IOMMU. */
static void fill_extended(struct pci_config *config, const struct iommuse_model *model)
{
	unsigned last = 0, end = EXTENDED_AT;

	if (model->pasid_bits || model->page_requests) {
		config->ats = extend(config, &last, &end, ATS_ID, 8);
		set16(config->byte, config->ats + 4U, 0x0020); /* requests are aligned to pages; a queue of 32 */
		set16(config->byte, config->ats + 6U, 0x8000);
	}
	if (model->page_requests) {
		config->pri = extend(config, &last, &end, PRI_ID, 16);
		set16(config->byte, config->pri + 4U, 0x0001);
		set16(config->byte, config->pri + 6U, model->pasid_bits ? 0x8000 : 0);
		set32(config->byte, config->pri + 8U, 32);
		set32(config->byte, config->pri + 12U, 32);
	}
	if (model->pasid_bits) {
		config->pasid = extend(config, &last, &end, PASID_ID, 8);
		set16(config->byte, config->pasid + 4U, (unsigned)model->pasid_bits << 8);
		set16(config->byte, config->pasid + 6U, 0x0001);
	}
}

static void command_changed(struct pci_config *config)
{
	atomic_store_explicit(&config->command, (uint16_t)pci_config_read(config, PCI_COMMAND_REGISTER, 2),
			      memory_order_relaxed);
}

void pci_config_reset(struct pci_config *config, const struct iommuse_model *model)
{
	memset(config->byte, 0, sizeof(config->byte));
	memset(config->writable, 0, sizeof(config->writable));
	config->size = PCI_CONFIG_SIZE;
	fill_header(config, model);
	fill_capabilities(config, model);
	fill_extended(config, model);
	command_changed(config);
}

void pci_config_init(struct pci_config *config, const struct iommuse_model *model)
{
	*config = (struct pci_config){0};
	pci_config_reset(config, model);
}

/* The next address of a part of a window, a multiple of size; 0: it is full. */
static uint64_t take_address(uint64_t *next, uint64_t first, uint64_t last, uint64_t size)
{
	const uint64_t from = *next ? *next : first;
	const uint64_t address = (from + size - 1) & ~(size - 1);

	if (address > last || size - 1 > last - address)
		return 0;
	*next = address + size;
	return address;
}

void pci_config_place(struct pci_config *config, const struct iommuse_model *model, struct pci_window *window)
{
	for (unsigned i = 0; i < IOMMUSE_BARS; i++) {
		const struct iommuse_bar *bar = &model->bar[i];

		if (bar->size)
			config->address[i] =
				bar->wide ? take_address(&window->high, WINDOW_HIGH, WINDOW_HIGH_LAST, bar->size)
					  : take_address(&window->low, WINDOW_LOW, WINDOW_LOW_LAST, bar->size);
	}
	fill_bars(config, model);
}

void pci_config_restore(struct pci_config *config)
{
	config->byte[config->pm + PCI_PM_CONTROL] &= (uint8_t)~PCI_PM_STATE;
}

uint32_t pci_config_read(const struct pci_config *config, unsigned offset, unsigned n)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < n; i++)
		value |= (uint32_t)config->byte[offset + i] << 8 * i;
	return value;
}

void pci_config_write(struct pci_config *config, unsigned offset, unsigned n, uint32_t value)
{
	uint8_t *power = &config->byte[config->pm + PCI_PM_CONTROL];
	const uint8_t power_before = *power;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t written = (uint8_t)(value >> 8 * i);
		const uint8_t mask = config->writable[offset + i];
		uint8_t *byte = &config->byte[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (written & mask));
	}
	/* There are no states between D0 and D3hot. */
	if ((*power & PCI_PM_STATE) == 1 || (*power & PCI_PM_STATE) == 2)
		*power = power_before;
	if (offset < PCI_COMMAND_REGISTER + 2 && offset + n > PCI_COMMAND_REGISTER)
		command_changed(config);
}
