/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops that look at what page tables show and at what is pinned, and that stand in for what a device does to them. */
#include "abi/iommufd.h"
#include "client/memory.h"
#include "iommufd/ctx.h"
#include "iommufd/selftest.h"

#include <stdlib.h>

/* Linux's bound for what a bitmap says, in bits. */
#define BITS_MAX (UINT64_C(1) << 27)

/* At least so much is needed for one entry of a batch. */
#define MEMORY_LIMIT_MIN 12

static const struct iommu_test_cmd *cmd_of(const struct ucmd *ucmd)
{
	return (const struct iommu_test_cmd *)ucmd->cmd;
}

int test_add_reserved(struct ucmd *ucmd)
{
	const uint64_t length = cmd_of(ucmd)->add_reserved.length;
	const iova_t start = cmd_of(ucmd)->add_reserved.start;
	struct ioas_object *ioas;
	iova_t last;
	int rc;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	ioas = ioas_get(ucmd->ctx, cmd_of(ucmd)->id);
	if (!ioas)
		return -ENOENT;
	rc = ioas_reserve(&ioas->ioas, start, last, NULL);
	ioas_put(ioas);
	return rc;
}

/* A page table of the mock IOMMU, with one more user. Returns 0, -ENOENT, or -EINVAL: another IOMMU's. */
static int paging_get(struct ucmd *ucmd, struct hwpt_paging **hwpt)
{
	*hwpt = hwpt_paging_get(ucmd->ctx, cmd_of(ucmd)->id);
	if (!*hwpt)
		return -ENOENT;
	if ((*hwpt)->domain.domain.driver == &mock_driver)
		return 0;
	object_put(&(*hwpt)->common.object);
	return -EINVAL;
}

/* At most so much is compared at once, so that with the rest of its pages it is a number. */
#define STRETCH_MAX (UINT64_C(1) << 40)

/* Compares as much as both sides have in one stretch; stores how much that is. */
static int check_stretch(struct paging_domain *domain, struct mm *mm, struct memory_query *query, iova_t iova,
			 uint64_t va, uint64_t *length)
{
	const uint64_t offset = va % PAGE_SIZE;
	const uint64_t whole = (*length + offset + PAGE_SIZE - 1) & PAGE_MASK;
	struct place shown;
	struct place place;
	struct memory_run run;
	uint64_t stretch;
	int rc = mm->ops->pin(mm, query, uaddr(va - offset), whole, false, &run);

	if (rc)
		return rc;
	if (!place_of_iova(domain, iova, &shown, &stretch)) {
		hold_put(run.hold);
		return -EINVAL;
	}
	place = place_of_run(mm, va - offset, &run, offset);
	if (!place_same(&shown, &place))
		rc = -EINVAL;
	if (*length > stretch)
		*length = stretch;
	if (*length > run.length - offset)
		*length = run.length - offset;
	hold_put((struct hold *)(uintptr_t)shown.hold);
	hold_put(run.hold);
	return rc;
}

int test_md_check_map(struct ucmd *ucmd)
{
	uint64_t length = cmd_of(ucmd)->check_map.length;
	iova_t iova = cmd_of(ucmd)->check_map.iova;
	uint64_t va = cmd_of(ucmd)->check_map.uptr;
	struct mm *mm = ucmd->client->ops->mm(ucmd->client);
	struct memory_query query = {0};
	struct hwpt_paging *hwpt;
	int rc;

	if (iova % MOCK_PAGE_SIZE || length % MOCK_PAGE_SIZE || va % MOCK_PAGE_SIZE || va + length < va)
		return -EINVAL;
	rc = paging_get(ucmd, &hwpt);
	if (rc)
		return rc;
	while (length && !rc) {
		uint64_t stretch = length < STRETCH_MAX ? length : STRETCH_MAX;

		rc = check_stretch(&hwpt->domain, mm, &query, iova, va, &stretch);
		iova += stretch;
		va += stretch;
		length -= stretch;
	}
	memory_query_end(&query);
	object_put(&hwpt->common.object);
	return rc;
}

static unsigned count_pins(struct selftest *selftest, struct mm *mm, uint64_t va)
{
	unsigned pins = 0;

	for (struct ctx *ctx = NULL; (ctx = selftest_next_ctx(selftest, ctx));)
		pins += ioas_context_pins(&ctx->ioases, mm, uaddr(va));
	return pins;
}

int test_md_check_refs(struct ucmd *ucmd)
{
	const uint64_t length = cmd_of(ucmd)->check_refs.length;
	const uint64_t va = cmd_of(ucmd)->check_refs.uptr;
	struct mm *mm = ucmd->client->ops->mm(ucmd->client);
	struct memory_query query = {0};
	int rc = 0;

	if (length % PAGE_SIZE || va % PAGE_SIZE || va + length < va)
		return -EINVAL;
	for (uint64_t at = 0; at < length && !rc; at += PAGE_SIZE) {
		struct memory_run run;

		rc = mm->ops->pin(mm, &query, uaddr(va + at), PAGE_SIZE, false, &run);
		if (rc)
			break;
		hold_put(run.hold);
		if (count_pins(ucmd->ctx->config->selftest_state, mm, va + at) != cmd_of(ucmd)->check_refs.refs)
			rc = -EIO;
	}
	memory_query_end(&query);
	return rc;
}

int test_md_check_iotlb(struct ucmd *ucmd)
{
	const uint32_t id = cmd_of(ucmd)->check_iotlb.id;
	const struct mock_nested *nested;
	struct object *hwpt;
	int rc = 0;

	if (id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	hwpt = object_get(ucmd->ctx, cmd_of(ucmd)->id, OBJECT_HWPT_NESTED);
	if (!hwpt)
		return -ENOENT;
	nested = mock_nested(((struct hwpt *)hwpt)->domain);
	if (!nested || atomic_load(&nested->iotlb[id]) != cmd_of(ucmd)->check_iotlb.iotlb)
		rc = -EINVAL;
	object_put(hwpt);
	return rc;
}

/*
 * As the mock IOMMU does it: a page of memory that IOVAs show whole is one entry of its page table, and of what is
 * marked in an entry the first 2 KiB are dirty.
 */
static void mark(struct paging_domain *domain, iova_t iova)
{
	struct ioas_mapping mapping;
	bool found;
	bool whole;
	iova_t page = iova & PAGE_MASK;

	pthread_mutex_lock(&domain->ioas->lock);
	found = paging_domain_find(domain, iova, &mapping);
	pthread_mutex_unlock(&domain->ioas->lock);
	if (!found)
		return;
	whole = (mapping.source - mapping.start) % PAGE_SIZE == 0 && page >= mapping.start &&
		page + (PAGE_SIZE - 1) <= mapping.last;
	if (!whole)
		page = iova & ~(iova_t)(MOCK_PAGE_SIZE - 1);
	paging_domain_mark(domain, page, page + (MOCK_PAGE_SIZE - 1));
}

static int mark_by_bitmap(struct ucmd *ucmd, struct paging_domain *domain, uint64_t bits, uint64_t *marked)
{
	const uint64_t page_size = cmd_of(ucmd)->dirty.page_size;
	const iova_t iova = cmd_of(ucmd)->dirty.iova;
	const size_t bytes = (bits + 7) / 8;
	unsigned char *bitmap = malloc(bytes);
	int rc;

	if (!bitmap)
		return -ENOMEM;
	rc = client_copy_in(ucmd->client, bitmap, uaddr(cmd_of(ucmd)->dirty.uptr), bytes);
	for (uint64_t i = 0; i < bits && !rc; i++) {
		if (!(bitmap[i / 8] >> i % 8 & 1))
			continue;
		mark(domain, iova + i * page_size);
		++*marked;
	}
	free(bitmap);
	return rc;
}

int test_dirty(struct ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = (void *)ucmd->cmd;
	const uint64_t page_size = cmd->dirty.page_size;
	struct hwpt_paging *hwpt;
	uint64_t marked = 0;
	int rc;

	if (!page_size || !cmd->dirty.length || cmd->dirty.iova % page_size || cmd->dirty.length % page_size ||
	    !cmd->dirty.uptr)
		return -EINVAL;
	if (cmd->dirty.length / page_size > BITS_MAX)
		return -EOVERFLOW;
	rc = paging_get(ucmd, &hwpt);
	if (rc)
		return rc;
	if (atomic_load(&hwpt->domain.tracking))
		rc = mark_by_bitmap(ucmd, &hwpt->domain, cmd->dirty.length / page_size, &marked);
	else
		rc = -EINVAL;
	if (!rc) {
		cmd->dirty.out_nr_dirty = marked;
		rc = ucmd_respond(ucmd);
	}
	object_put(&hwpt->common.object);
	return rc;
}

int test_set_temp_memory_limit(struct ucmd *ucmd)
{
	const uint32_t limit = cmd_of(ucmd)->memory_limit.limit;

	if (limit < MEMORY_LIMIT_MIN)
		return -EINVAL;
	atomic_store(&ucmd->ctx->config->selftest_state->memory_limit, limit);
	return 0;
}
