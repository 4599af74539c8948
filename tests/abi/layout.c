/* SPDX-License-Identifier: BSD-3-Clause */
/* Every number, size and offset of include/abi/ is the specification's. */
#include "abi/ioasid.h"
#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind { KIND_NUMBER, KIND_STRUCT, KIND_FIELD, KIND_ALIAS, KIND_FLEX };

/* offset and size as they are to be; actual ones as the compiler has them. A number is a size. */
struct fact {
	enum kind kind;
	const char *name, *member;
	int64_t offset, size, actual_offset, actual_size, align;
};

#define SIZEOF_MEMBER(s, m) sizeof(((struct s *)0)->m)

#define ROW(kind, s, m, offset, size, sized)                                                                           \
	{kind, #s, #m, offset, size, offsetof(struct s, m), SIZEOF_MEMBER(s, sized), __alignof__(((struct s *)0)->m)},

#define NUMBER(name, value)       {KIND_NUMBER, #name, "", 0, value, 0, (int64_t)(name), 0},
#define STRUCT(s, size)           {KIND_STRUCT, #s, "", 0, size, 0, sizeof(struct s), __alignof__(struct s)},
#define FIELD(s, m, offset, size) ROW(KIND_FIELD, s, m, offset, size, m)
#define ALIAS(s, m, offset, size) ROW(KIND_ALIAS, s, m, offset, size, m)
#define FLEX(s, m, offset, size)  ROW(KIND_FLEX, s, m, offset, size, m[0])

static const struct fact facts[] = {
/* clang-format off */
#include "ioasid.def"
#include "iommufd.def"
#include "iommufd_test.def"
#include "vfio.def"
	/* clang-format on */
};

#define NFACTS (sizeof(facts) / sizeof(facts[0]))

static int64_t round_up(int64_t n, int64_t align)
{
	return (n + align - 1) / align * align;
}

static int check_values(void)
{
	int failed = 0;

	for (const struct fact *f = facts; f < facts + NFACTS; f++) {
		const char *dot = *f->member ? "." : "";

		if (f->size != f->actual_size) {
			printf("%s%s%s: is %" PRId64 " (0x%" PRIx64 "), is to be %" PRId64 " (0x%" PRIx64 ")\n",
			       f->name, dot, f->member, f->actual_size, (uint64_t)f->actual_size, f->size,
			       (uint64_t)f->size);
			failed++;
		}
		if (f->offset != f->actual_offset) {
			printf("%s%s%s: is at %" PRId64 ", is to be at %" PRId64 "\n", f->name, dot, f->member,
			       f->actual_offset, f->offset);
			failed++;
		}
	}
	return failed;
}

/* The members of a structure fill it: none is missing from the table. Returns where the next structure may begin. */
static const struct fact *check_fields(const struct fact *s, int *failed)
{
	int64_t end = 0;
	const struct fact *f = s + 1;

	for (; f < facts + NFACTS && f->kind != KIND_STRUCT && f->kind != KIND_NUMBER; f++) {
		if (strcmp(f->name, s->name) != 0) {
			printf("%s.%s: stands below struct %s\n", f->name, f->member, s->name);
			++*failed;
		}
		if (f->kind == KIND_ALIAS)
			continue;
		if (f->offset != round_up(end, f->align)) {
			printf("%s.%s: something is missing between %" PRId64 " and %" PRId64 "\n", f->name, f->member,
			       end, f->offset);
			++*failed;
		}
		end = f->offset + (f->kind == KIND_FLEX ? 0 : f->size);
	}
	if (s->size != round_up(end, s->align)) {
		printf("%s: the members end at %" PRId64 ", the structure at %" PRId64 "\n", s->name, end, s->size);
		++*failed;
	}
	return f;
}

static int check_members_fill_their_structures(void)
{
	const struct fact *f = facts;
	int failed = 0;

	while (f < facts + NFACTS) {
		if (f->kind == KIND_STRUCT) {
			f = check_fields(f, &failed);
		} else if (f->kind == KIND_NUMBER) {
			f++;
		} else {
			printf("%s.%s: stands below no structure\n", f->name, f->member);
			failed++;
			f++;
		}
	}
	return failed;
}

int main(void)
{
	int failed = check_values() + check_members_fill_their_structures();

	printf("%zu rows, %d wrong\n", NFACTS, failed);
	return failed ? 1 : 0;
}
