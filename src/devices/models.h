/* SPDX-License-Identifier: BSD-3-Clause */
/* Models: the built-in ones, and those of shared objects, which may be wrong in any way that a check can find. */
#ifndef IOMMUSE_DEVICES_MODELS_H
#define IOMMUSE_DEVICES_MODELS_H

#include <stddef.h>

struct iommuse_model;

/* A line for people. */
struct why {
	char *text;
	size_t room;
};

/* Says why; returns rc. */
int why_not(const struct why *why, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Adds to what was said. */
void why_more(const struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Finds a model by name, or loads it where the name has a slash: then *library is to be closed with dlclose(), else
 * NULL. Returns 0; -ENOENT: there is none; -EINVAL: it cannot be loaded, or is no good model.
 */
int model_find(const char *name, struct iommuse_model *model, void **library, const struct why *why);

/* Can there be a device of it? Returns 0 or -EINVAL. */
int model_check(const struct iommuse_model *model, const char *name, const struct why *why);

#endif
