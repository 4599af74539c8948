/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/requests.h"

#include "abi/iommufd.h"
#include "devices/device.h"
#include "hwpt/sva.h"

#include <errno.h>

enum request_state {
	REQUEST_NONE, /* the group is free */
	REQUEST_MADE,
	REQUEST_ASKED,
	REQUEST_GRANTED, /* answered, and not yet told to the model */
	REQUEST_REFUSED,
};

/* Of a number, instead of a group. */
enum {
	NUMBER_FREE = REQUEST_GROUPS,
	NUMBER_FORGOTTEN,
};

void requests_init(struct requests *requests)
{
	for (uint32_t i = 0; i < REQUEST_GROUPS; i++)
		requests->asked[i] = NUMBER_FREE;
	pthread_mutex_init(&requests->lock, NULL);
}

void requests_fini(struct requests *requests)
{
	pthread_mutex_destroy(&requests->lock);
}

/* It has room, as a group is in it once. */
static void line_up(struct request_line *line, uint32_t group)
{
	line->group[(line->first + line->count++) % REQUEST_GROUPS] = (uint16_t)group;
}

/* The line is not empty. */
static uint32_t line_take(struct request_line *line)
{
	const uint32_t group = line->group[line->first];

	line->first = (line->first + 1) % REQUEST_GROUPS;
	line->count--;
	return group;
}

/* What is withheld that a page would mend, which is not withheld any more. */
static struct dma_withheld take_withheld(struct model_device *device, uint32_t pasid, uint64_t address)
{
	const struct dma_withheld withheld = device->withheld;

	if (withheld.fault.pasid != pasid || (withheld.fault.iova ^ address) >> PAGE_SHIFT)
		return (struct dma_withheld){.length = 0};
	device->withheld.length = 0;
	return withheld;
}

int requests_make(struct model_device *device, uint32_t pasid, uint64_t address, uint32_t perm, uint32_t group)
{
	struct requests *requests = &device->requests;
	struct request *request;
	int rc = 0;

	if (group >= REQUEST_GROUPS)
		return -EINVAL;
	pthread_mutex_lock(&requests->lock);
	request = &requests->request[group];
	if (request->state == REQUEST_NONE) {
		request->address = address;
		request->pasid = pasid;
		request->perm = (uint8_t)perm;
		request->blocked = take_withheld(device, pasid, address);
		request->state = REQUEST_MADE;
		line_up(&requests->made, group);
	} else {
		rc = -EBUSY;
	}
	pthread_mutex_unlock(&requests->lock);
	if (!rc)
		poller_kick(device);
	return rc;
}

/* Returns REQUEST_GROUPS where none is free. With the lock held. */
static uint32_t find_number(const struct requests *requests, uint32_t group)
{
	uint32_t number = 0;

	if (requests->asked[group] == NUMBER_FREE)
		return group;
	while (number < REQUEST_GROUPS && requests->asked[number] != NUMBER_FREE)
		number++;
	return number;
}

/* Copies the next that was made, if there is a number for it. */
static bool take_made(struct requests *requests, struct request *made, uint32_t *number)
{
	bool found = false;

	pthread_mutex_lock(&requests->lock);
	if (requests->made.count) {
		*number = find_number(requests, requests->made.group[requests->made.first]);
		found = *number < REQUEST_GROUPS;
	}
	if (found) {
		const uint32_t group = line_take(&requests->made);

		requests->asked[*number] = (uint16_t)group;
		requests->request[group].state = REQUEST_ASKED;
		*made = requests->request[group];
	}
	pthread_mutex_unlock(&requests->lock);
	return found;
}

bool requests_ask(struct model_device *device)
{
	struct request made;
	uint32_t number;
	bool found = false;

	while (take_made(&device->requests, &made, &number)) {
		/* What comes of it is the answer's business. */
		(void)iommu_page_request(&device->vfio.iommu, made.pasid, made.address, made.perm, number);
		found = true;
	}
	return found;
}

void requests_answer(struct model_device *device, uint32_t number, uint32_t code)
{
	struct requests *requests = &device->requests;
	uint32_t group;

	if (number >= REQUEST_GROUPS)
		return;
	pthread_mutex_lock(&requests->lock);
	group = requests->asked[number];
	requests->asked[number] = NUMBER_FREE;
	if (group < REQUEST_GROUPS) {
		requests->request[group].state = code == IOMMUFD_PAGE_RESP_SUCCESS ? REQUEST_GRANTED : REQUEST_REFUSED;
		line_up(&requests->answered, group);
	}
	pthread_mutex_unlock(&requests->lock);
	poller_kick(device);
}

static bool take_answered(struct requests *requests, struct request *answered, uint32_t *group)
{
	bool found;

	pthread_mutex_lock(&requests->lock);
	found = requests->answered.count;
	if (found) {
		*group = line_take(&requests->answered);
		*answered = requests->request[*group];
		requests->request[*group].state = REQUEST_NONE;
	}
	pthread_mutex_unlock(&requests->lock);
	return found;
}

/* What is answered while the model is told comes the next time: a callback does a bounded amount of work. */
bool requests_deliver(struct model_device *device)
{
	struct request answered;
	uint32_t group, n;

	for (n = 0; n < REQUEST_GROUPS && take_answered(&device->requests, &answered, &group); n++) {
		if (answered.state == REQUEST_REFUSED)
			dma_report_withheld(&device->vfio.dma, &answered.blocked);
		if (device->model.page_response)
			device->model.page_response(device->state, answered.pasid, group,
						    answered.state == REQUEST_GRANTED);
	}
	return n;
}

void requests_forget(struct model_device *device)
{
	struct requests *requests = &device->requests;

	pthread_mutex_lock(&requests->lock);
	for (uint32_t i = 0; i < REQUEST_GROUPS; i++) {
		requests->request[i].state = REQUEST_NONE;
		if (requests->asked[i] != NUMBER_FREE)
			requests->asked[i] = NUMBER_FORGOTTEN;
	}
	requests->made.count = 0;
	requests->answered.count = 0;
	pthread_mutex_unlock(&requests->lock);
}
