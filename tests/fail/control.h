/* SPDX-License-Identifier: BSD-3-Clause */
/* How a client makes its calls fail inside of the iommuse that serves it: memory that both have mapped. */
#ifndef IOMMUSE_TESTS_CONTROL_H
#define IOMMUSE_TESTS_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

#define CONTROL_VARIABLE "IOMMUSE_TEST_FAIL" /* in the environment: the name of the file */

struct control {
	_Atomic int32_t tid;      /* the thread whose calls are meant; 0: nobody's */
	_Atomic uint32_t until;   /* as of fail_arm(); 0: nothing fails */
	_Atomic uint32_t count;   /* descriptors shall be counted at the end of the next call */
	_Atomic uint32_t serving; /* iommuse has mapped it */
	_Atomic uint64_t descriptors;
	_Atomic long blocks;
	char failed[32]; /* what has failed */
};

#endif
