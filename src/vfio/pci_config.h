/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space as a driver over VFIO sees it: 4096 bytes, each bit with a rule of what a write does to it.
 * Registers and capabilities are those of PCI Express Base Specification 4.0, section 7.
 */
#ifndef IOMMUSE_VFIO_PCI_CONFIG_H
#define IOMMUSE_VFIO_PCI_CONFIG_H

#include "iommuse/device.h"

#include <linux/pci_regs.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE 4096U

/* Addresses that BARs have got so far. Begins as zeroes. */
struct pci_window {
	uint64_t low, high;
};

struct pci_config {
	_Atomic uint16_t command;          /* the register, also for those without the lock */
	uint8_t byte[PCI_CONFIG_SIZE];     /* what is read */
	uint8_t writable[PCI_CONFIG_SIZE]; /* bits that a write sets and clears */
	uint32_t size;                     /* 4096; 256 without capability PCI Express */
	uint8_t msi, msix, express;        /* where the capabilities are; 0: there is none */
	uint8_t pm;
	uint16_t pasid, ats, pri;
	uint64_t address[IOMMUSE_BARS]; /* of BARs, as the machine's firmware gave them; 0: none */
};

/* As after power-on, for a model, and with memory decoded: VFIO enables a device when it is opened. */
void pci_config_init(struct pci_config *config, const struct iommuse_model *model);

/* Gives the BARs addresses that no other device of the window has. Beyond what a window has, the address is 0. */
void pci_config_place(struct pci_config *config, const struct iommuse_model *model, struct pci_window *window);

/* Values as after pci_config_init() again, where the driver can change them: for a new driver, or after the last. */
void pci_config_reset(struct pci_config *config, const struct iommuse_model *model);

/*
 * What VFIO_DEVICE_RESET, or a function level reset by the driver, does to it: VFIO saves and restores all that the
 * driver has set, but for the power state. So bus mastering and interrupts stay enabled.
 */
void pci_config_restore(struct pci_config *config);

/* Can the BARs be accessed? */
static inline bool pci_config_decodes(const struct pci_config *config)
{
	return atomic_load_explicit(&config->command, memory_order_relaxed) & PCI_COMMAND_MEMORY &&
	       !(config->pm && config->byte[config->pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK);
}

/* offset + n <= size, n: 1, 2 or 4, offset a multiple of it. Little endian. */
uint32_t pci_config_read(const struct pci_config *config, unsigned offset, unsigned n);
void pci_config_write(struct pci_config *config, unsigned offset, unsigned n, uint32_t value);

#endif
