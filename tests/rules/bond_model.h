/* SPDX-License-Identifier: BSD-3-Clause */
/* The registers of bond_model.c, of 8 bytes each, in BAR 0. */
#ifndef IOMMUSE_TESTS_BOND_MODEL_H
#define IOMMUSE_TESTS_BOND_MODEL_H

enum {
	BOND_PASID,
	BOND_ADDRESS,
	BOND_DATA,
	BOND_GO, /* written: enum iommuse_direction; then 0, or why it failed (enum iommuse_fault_reason) */
	BOND_REGISTERS
};

#endif
