/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a fuzzer and the one who drives it (libFuzzer, or driver.c) have to do with each other. The names with LLVM are
 * libFuzzer's.
 *
 * An input is a sequence of records of one size; what is left over at its end does not count.
 */
#ifndef IOMMUSE_TEST_FUZZ_H
#define IOMMUSE_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The fuzzer's: once before all inputs, and an input. Whoever finds something wrong calls fuzz_fail(). */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fuzzer's: changes the input in place; returns its new size, at most max_size. The same seed does the same. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* The driver's: changes bytes. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* What custom mutators are made of: adds, drops, repeats, swaps and changes records. */
size_t fuzz_mutate_records(uint8_t *data, size_t size, size_t max_size, size_t record, unsigned int seed);

/* Pseudo-random numbers; each call moves the state on. */
uint64_t fuzz_random(uint64_t *state);

/* Says what is wrong, as printf(), and aborts, so that the input is kept. */
_Noreturn void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
