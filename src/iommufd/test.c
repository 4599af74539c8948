/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd_test.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"

/* No op is known: all are about page tables, devices and accesses. Nothing else of the structure is looked at before.
 */
int iommufd_test(struct ucmd *ucmd)
{
	(void)ucmd;
	return -EOPNOTSUPP;
}
