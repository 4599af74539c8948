/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/mappings.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

FILE *mappings_open(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)tid);
	return fopen(path, "re");
}

bool mappings_next(FILE *mappings, struct mapping *mapping)
{
	unsigned int device[2];
	uint64_t inode;
	char line[8192];

	while (fgets(line, sizeof(line), mappings)) {
		mapping->name[0] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %31s", &mapping->start,
			   &mapping->end, mapping->perms, &mapping->offset, &device[0], &device[1], &inode,
			   mapping->name) < 7)
			continue;
		mapping->dev = makedev(device[0], device[1]);
		mapping->ino = inode;
		return true;
	}
	return false;
}

int mapping_prot(const struct mapping *mapping)
{
	return (mapping->perms[0] == 'r' ? PROT_READ : 0) | (mapping->perms[1] == 'w' ? PROT_WRITE : 0) |
	       (mapping->perms[2] == 'x' ? PROT_EXEC : 0);
}
