/* SPDX-License-Identifier: BSD-3-Clause */
/* A shared object that is no model: with WITHOUT there is no iommuse_get_model() in it, else it returns what is none.
 */
#include "iommuse/device.h"

#ifndef WITHOUT
const struct iommuse_model *iommuse_get_model(void)
{
#ifdef NOTHING
	return NULL;
#else
	static const struct iommuse_model model = {.struct_size = sizeof(model), .api_version = 77};

	return &model;
#endif
}
#else
int nothing_here(void);

int nothing_here(void)
{
	return 0;
}
#endif
