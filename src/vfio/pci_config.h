/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space as a driver over VFIO sees it: 4096 bytes, each bit with a rule of what a write does to it.
 * Registers and capabilities are those of PCI Express Base Specification 4.0, section 7.
 */
#ifndef IOMMUSE_VFIO_PCI_CONFIG_H
#define IOMMUSE_VFIO_PCI_CONFIG_H

#include "iommuse/device.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE 4096U

struct pci_config {
	_Atomic uint16_t command;           /* the register, also for those without the lock */
	uint8_t byte[PCI_CONFIG_SIZE];      /* what is read */
	uint8_t writable[PCI_CONFIG_SIZE];  /* bits that a write sets and clears */
	uint8_t clearable[PCI_CONFIG_SIZE]; /* bits that writing 1 clears */
	uint32_t size;                      /* 4096; 256 without capability PCI Express */
	uint8_t msi, msix, express;         /* where the capabilities are; 0: there is none */
	uint8_t pm;
	uint16_t pasid, ats, pri;
};

/* As after power-on, for a model. */
void pci_config_init(struct pci_config *config, const struct iommuse_model *model);

/* Values as after power-on again, where the driver can change them. */
void pci_config_reset(struct pci_config *config, const struct iommuse_model *model);

/* offset + n <= size, n: 1, 2 or 4, offset a multiple of it. Little endian. */
uint32_t pci_config_read(const struct pci_config *config, unsigned offset, unsigned n);
void pci_config_write(struct pci_config *config, unsigned offset, unsigned n, uint32_t value);

#endif
