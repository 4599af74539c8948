/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/selftest.h"

#include <stdlib.h>

#define OP(op, handler) [IOMMU_TEST_OP_##op] = (handler)

static int (*const ops[])(struct ucmd *ucmd) = {
	OP(ADD_RESERVED, test_add_reserved),
	OP(MOCK_DOMAIN, test_mock_domain),
	OP(MD_CHECK_MAP, test_md_check_map),
	OP(MD_CHECK_REFS, test_md_check_refs),
	OP(CREATE_ACCESS, test_create_access),
	OP(DESTROY_ACCESS_PAGES, test_destroy_access_pages),
	OP(ACCESS_PAGES, test_access_pages),
	OP(ACCESS_RW, test_access_rw),
	OP(SET_TEMP_MEMORY_LIMIT, test_set_temp_memory_limit),
	OP(MOCK_DOMAIN_REPLACE, test_mock_domain_replace),
	OP(ACCESS_REPLACE_IOAS, test_access_replace_ioas),
	OP(MOCK_DOMAIN_FLAGS, test_mock_domain_flags),
	OP(DIRTY, test_dirty),
	OP(MD_CHECK_IOTLB, test_md_check_iotlb),
	OP(TRIGGER_IOPF, test_trigger_iopf),
	OP(DEV_CHECK_CACHE, test_dev_check_cache),
	OP(TRIGGER_VEVENT, test_trigger_vevent),
	OP(PASID_ATTACH, test_pasid_attach),
	OP(PASID_REPLACE, test_pasid_replace),
	OP(PASID_DETACH, test_pasid_detach),
	OP(PASID_CHECK_HWPT, test_pasid_check_hwpt),
	OP(DMABUF_GET, test_dmabuf_get),
	OP(DMABUF_REVOKE, test_dmabuf_revoke),
};

/* Nothing else of the structure is looked at before; its reserved members are not looked at at all. */
int iommufd_test(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;

	if (!ucmd->ctx->config->selftest_state || cmd->op >= sizeof(ops) / sizeof(*ops) || !ops[cmd->op])
		return -EOPNOTSUPP;
	return ops[cmd->op](ucmd);
}

#define MEMORY_LIMIT_DEFAULT 65536

int selftest_new(struct selftest **out)
{
	struct selftest *selftest = malloc(sizeof(*selftest));

	if (!selftest)
		return -ENOMEM;
	pthread_mutex_init(&selftest->lock, NULL);
	selftest->ctxs = NULL;
	atomic_init(&selftest->memory_limit, MEMORY_LIMIT_DEFAULT);
	atomic_init(&selftest->devices, 0);
	*out = selftest;
	return 0;
}

void selftest_free(struct selftest *selftest)
{
	if (!selftest)
		return;
	pthread_mutex_destroy(&selftest->lock);
	free(selftest);
}

void selftest_add_ctx(struct ctx *ctx)
{
	struct selftest *selftest = ctx->config->selftest_state;

	if (!selftest)
		return;
	pthread_mutex_lock(&selftest->lock);
	ctx->next = selftest->ctxs;
	ctx->link = &selftest->ctxs;
	if (ctx->next)
		ctx->next->link = &ctx->next;
	selftest->ctxs = ctx;
	pthread_mutex_unlock(&selftest->lock);
}

void selftest_remove_ctx(struct ctx *ctx)
{
	struct selftest *selftest = ctx->config->selftest_state;

	if (!selftest)
		return;
	pthread_mutex_lock(&selftest->lock);
	*ctx->link = ctx->next;
	if (ctx->next)
		ctx->next->link = ctx->link;
	pthread_mutex_unlock(&selftest->lock);
}

/* One without references is about to be removed, by a thread that waits for the lock. */
static bool get_unless_zero(struct ctx *ctx)
{
	unsigned refs = atomic_load_explicit(&ctx->file.refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&ctx->file.refs, &refs, refs + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

struct ctx *selftest_next_ctx(struct selftest *selftest, struct ctx *ctx)
{
	struct ctx *next;

	pthread_mutex_lock(&selftest->lock);
	next = ctx ? ctx->next : selftest->ctxs;
	while (next && !get_unless_zero(next))
		next = next->next;
	pthread_mutex_unlock(&selftest->lock);
	if (ctx)
		file_put(&ctx->file);
	return next;
}
