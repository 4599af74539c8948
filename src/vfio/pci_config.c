/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The values are those of a device that firmware and Linux have set up, and that vfio-pci shows: registers that it does
 * not let a driver write (link control, MSI-X control, ATS, PASID, status) are read only here.
 */
#include "vfio/pci_config.h"

#include <string.h>

#define CACHE_LINE_DWORDS 16U

/* As many as there are groups of them. */
#define PAGE_REQUESTS 512U

/* Where capabilities are. */
#define PM_AT      0x40U
#define MSI_AT     0x50U
#define MSIX_AT    0x60U
#define EXPRESS_AT 0x70U

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
	return (bar->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0U) |
	       (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0U);
}

static void fill_bars(struct pci_config *config, const struct iommuse_model *model)
{
	for (unsigned i = 0; i < IOMMUSE_BARS; i++) {
		const struct iommuse_bar *bar = &model->bar[i];
		const unsigned at = PCI_BASE_ADDRESS_0 + 4 * i;

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

	set16(byte, PCI_VENDOR_ID, model->vendor);
	set16(byte, PCI_DEVICE_ID, model->device);
	set16(byte, PCI_COMMAND, has_bars(model) ? PCI_COMMAND_MEMORY : 0);
	set16(config->writable, PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		      PCI_COMMAND_INTX_DISABLE);
	set16(byte, PCI_STATUS, PCI_STATUS_CAP_LIST);
	set32(byte, PCI_CLASS_REVISION, model->class_code << 8 | model->revision);
	set8(byte, PCI_CACHE_LINE_SIZE, CACHE_LINE_DWORDS);
	set8(config->writable, PCI_CACHE_LINE_SIZE, 0xff);
	set16(byte, PCI_SUBSYSTEM_VENDOR_ID, model->subsystem_vendor);
	set16(byte, PCI_SUBSYSTEM_ID, model->subsystem_device);
	set8(config->writable, PCI_INTERRUPT_LINE, 0xff);
	set8(byte, PCI_INTERRUPT_PIN, model->intx ? 1 : 0);
	fill_bars(config, model);
}

/* Adds a capability to the chain's end, which is at *link. */
static void chain(struct pci_config *config, unsigned *link, unsigned at, unsigned id)
{
	set8(config->byte, *link, at);
	set8(config->byte, at + PCI_CAP_LIST_ID, id);
	*link = at + PCI_CAP_LIST_NEXT;
}

/* Version 3, states D0 and D3hot; what is set survives the way back. */
static void fill_pm(struct pci_config *config)
{
	config->pm = PM_AT;
	set16(config->byte, PM_AT + PCI_PM_PMC, 3);
	set16(config->byte, PM_AT + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	set16(config->writable, PM_AT + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
}

/* Addresses of 64 bits, no masks. It is VFIO who enables it. */
static void fill_msi(struct pci_config *config, unsigned vectors)
{
	const unsigned power = 31U - (unsigned)__builtin_clz(vectors);

	config->msi = MSI_AT;
	set16(config->byte, MSI_AT + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | power << 1);
	set16(config->writable, MSI_AT + PCI_MSI_FLAGS, PCI_MSI_FLAGS_QSIZE);
	set32(config->writable, MSI_AT + PCI_MSI_ADDRESS_LO, ~3U);
	set32(config->writable, MSI_AT + PCI_MSI_ADDRESS_HI, UINT32_MAX);
	set16(config->writable, MSI_AT + PCI_MSI_DATA_64, 0xffff);
}

static void fill_msix(struct pci_config *config, const struct iommuse_model *model)
{
	config->msix = MSIX_AT;
	set16(config->byte, MSIX_AT + PCI_MSIX_FLAGS, model->msix_vectors - 1U);
	set32(config->byte, MSIX_AT + PCI_MSIX_TABLE, model->msix_table | model->msix_bar);
	set32(config->byte, MSIX_AT + PCI_MSIX_PBA, model->msix_pba | model->msix_bar);
}

/* A link of 8 lanes at 8 GT/s. */
static void fill_link(uint8_t *byte)
{
	set32(byte, EXPRESS_AT + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_8_0GB | 8U << 4 | 1U << 22);
	set16(byte, EXPRESS_AT + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_CCC);
	set16(byte, EXPRESS_AT + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_8_0GB | PCI_EXP_LNKSTA_NLW_X8 | PCI_EXP_LNKSTA_SLC);
	set32(byte, EXPRESS_AT + PCI_EXP_LNKCAP2,
	      PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB | PCI_EXP_LNKCAP2_SLS_8_0GB);
	set16(byte, EXPRESS_AT + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS_8_0GT);
	set16(byte, EXPRESS_AT + PCI_EXP_LNKSTA2, 0x1e); /* equalized in all phases */
}

/* An endpoint, version 2, with payloads of 256 and reads of 512 bytes. */
static void fill_express(struct pci_config *config, const struct iommuse_model *model)
{
	uint8_t *byte = config->byte;

	config->express = EXPRESS_AT;
	set16(byte, EXPRESS_AT + PCI_EXP_FLAGS, 2);
	set32(byte, EXPRESS_AT + PCI_EXP_DEVCAP,
	      1U | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	set16(byte, EXPRESS_AT + PCI_EXP_DEVCTL,
	      PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_EXT_TAG |
		      PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B);
	set16(config->writable, EXPRESS_AT + PCI_EXP_DEVCTL,
	      0xffff & ~(PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_AUX_PME | PCI_EXP_DEVCTL_BCR_FLR));
	/* Completion timeouts of all ranges; prefixes, as PASIDs need them. */
	set32(byte, EXPRESS_AT + PCI_EXP_DEVCAP2,
	      0xfU | PCI_EXP_DEVCAP2_COMP_TMOUT_DIS | (model->pasid_bits ? PCI_EXP_DEVCAP2_EE_PREFIX | 1U << 22 : 0));
	set16(config->writable, EXPRESS_AT + PCI_EXP_DEVCTL2,
	      PCI_EXP_DEVCTL2_COMP_TIMEOUT | PCI_EXP_DEVCTL2_COMP_TMOUT_DIS);
	fill_link(byte);
}

static void fill_capabilities(struct pci_config *config, const struct iommuse_model *model)
{
	unsigned link = PCI_CAPABILITY_LIST;

	chain(config, &link, PM_AT, PCI_CAP_ID_PM);
	fill_pm(config);
	if (model->msi_vectors) {
		chain(config, &link, MSI_AT, PCI_CAP_ID_MSI);
		fill_msi(config, model->msi_vectors);
	}
	if (model->msix_vectors) {
		chain(config, &link, MSIX_AT, PCI_CAP_ID_MSIX);
		fill_msix(config, model);
	}
	chain(config, &link, EXPRESS_AT, PCI_CAP_ID_EXP);
	fill_express(config, model);
}

/* Adds an extended capability at *end, length bytes long, behind the one at *last (0: the first). Returns where it is.
 */
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
	unsigned last = 0, end = PCI_CFG_SPACE_SIZE;

	if (model->pasid_bits || model->page_requests) {
		config->ats = extend(config, &last, &end, PCI_EXT_CAP_ID_ATS, PCI_EXT_CAP_ATS_SIZEOF);
		set16(config->byte, config->ats + PCI_ATS_CAP, PCI_ATS_CAP_PAGE_ALIGNED);
		set16(config->byte, config->ats + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
	}
	if (model->page_requests) {
		config->pri = extend(config, &last, &end, PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_PRI_SIZEOF);
		set16(config->byte, config->pri + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
		set16(config->byte, config->pri + PCI_PRI_STATUS, model->pasid_bits ? PCI_PRI_STATUS_PASID : 0);
		set32(config->byte, config->pri + PCI_PRI_MAX_REQ, PAGE_REQUESTS);
		set32(config->byte, config->pri + PCI_PRI_ALLOC_REQ, PAGE_REQUESTS);
	}
	if (model->pasid_bits) {
		config->pasid = extend(config, &last, &end, PCI_EXT_CAP_ID_PASID, PCI_EXT_CAP_PASID_SIZEOF);
		set16(config->byte, config->pasid + PCI_PASID_CAP, (unsigned)model->pasid_bits << 8);
		set16(config->byte, config->pasid + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE);
	}
}

static void command_changed(struct pci_config *config)
{
	atomic_store_explicit(&config->command, (uint16_t)pci_config_read(config, PCI_COMMAND, 2),
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
	config->byte[config->pm + PCI_PM_CTRL] &= (uint8_t)~PCI_PM_CTRL_STATE_MASK;
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
	uint8_t *power = &config->byte[config->pm + PCI_PM_CTRL];
	const uint8_t power_before = *power;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t written = (uint8_t)(value >> 8 * i);
		const uint8_t mask = config->writable[offset + i];
		uint8_t *byte = &config->byte[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (written & mask));
	}
	/* There are no states between D0 and D3hot. */
	if ((*power & PCI_PM_CTRL_STATE_MASK) == 1 || (*power & PCI_PM_CTRL_STATE_MASK) == 2)
		*power = power_before;
	if (offset < PCI_COMMAND + 2 && offset + n > PCI_COMMAND)
		command_changed(config);
}
