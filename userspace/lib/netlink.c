// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Netlink messages: put together, and taken apart without trusting a length.
 *
 * The whole of what is needed is here, so that no program has to link another
 * library for it.
 */
#include "internal.h"

#include <linux/genetlink.h>
#include <string.h>

/* A message, or an attribute, is followed by zeros up to a multiple of 4. */
static size_t aligned(size_t length)
{
	return (length + 3) & ~(size_t)3;
}

void achan_netlink_begin(struct achan_netlink_request *request, uint16_t type,
			 uint16_t flags, uint8_t command, uint8_t version)
{
	struct genlmsghdr generic = { .cmd = command, .version = version };

	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(request->payload, &generic, sizeof(generic));
}

void achan_netlink_put_string(struct achan_netlink_request *request,
			      uint16_t type, const char *text)
{
	size_t length = strlen(text) + 1;
	struct nlattr attribute = {
		.nla_len = (uint16_t)(NLA_HDRLEN + length),
		.nla_type = type,
	};
	unsigned char *at = request->payload + request->header.nlmsg_len -
			    NLMSG_HDRLEN;

	memcpy(at, &attribute, sizeof(attribute));
	memcpy(at + NLA_HDRLEN, text, length);
	request->header.nlmsg_len += (uint32_t)aligned(attribute.nla_len);
}

int achan_netlink_next(const void *buf, size_t size, size_t *offset,
		       struct achan_netlink_message *message)
{
	const unsigned char *at = (const unsigned char *)buf + *offset;
	size_t left = size - *offset;
	struct nlmsghdr header;

	if (!left)
		return 0;
	if (left < sizeof(header))
		return -EBADMSG;
	memcpy(&header, at, sizeof(header));
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > left)
		return -EBADMSG;
	message->type = header.nlmsg_type;
	message->flags = header.nlmsg_flags;
	message->sequence = header.nlmsg_seq;
	message->payload = at + NLMSG_HDRLEN;
	message->length = header.nlmsg_len - NLMSG_HDRLEN;
	*offset += aligned(header.nlmsg_len) < left ? aligned(header.nlmsg_len)
						    : left;
	return 1;
}

int achan_netlink_error(const struct achan_netlink_message *message, int *error)
{
	int32_t value;

	if (message->length < sizeof(value))
		return -EBADMSG;
	memcpy(&value, message->payload, sizeof(value));
	/* Nothing that is not an errno value goes on as one. */
	if (value > 0 || value < -4095)
		return -EBADMSG;
	*error = value;
	return 0;
}

int achan_netlink_attributes(const struct achan_netlink_message *message,
			     uint8_t *command,
			     struct achan_netlink_attribute *attributes)
{
	struct genlmsghdr generic;

	if (message->length < GENL_HDRLEN)
		return -EBADMSG;
	memcpy(&generic, message->payload, sizeof(generic));
	*command = generic.cmd;
	attributes->payload = message->payload + GENL_HDRLEN;
	attributes->length = message->length - GENL_HDRLEN;
	attributes->type = 0;
	return 0;
}

int achan_netlink_attribute(struct achan_netlink_attribute *rest,
			    struct achan_netlink_attribute *attribute)
{
	struct nlattr header;
	size_t step;

	if (!rest->length)
		return 0;
	if (rest->length < sizeof(header))
		return -EBADMSG;
	memcpy(&header, rest->payload, sizeof(header));
	if (header.nla_len < NLA_HDRLEN || header.nla_len > rest->length)
		return -EBADMSG;
	attribute->type = header.nla_type & NLA_TYPE_MASK;
	attribute->payload = rest->payload + NLA_HDRLEN;
	attribute->length = header.nla_len - NLA_HDRLEN;
	step = aligned(header.nla_len);
	if (step > rest->length)
		step = rest->length;
	rest->payload += step;
	rest->length -= step;
	return 1;
}

int achan_netlink_number(const struct achan_netlink_attribute *attribute,
			 void *value, size_t size)
{
	if (attribute->length != size)
		return -EBADMSG;
	memcpy(value, attribute->payload, size);
	return 0;
}

/* What an older driver lacks is zero, what a newer one adds is left out. */
void achan_netlink_struct(const struct achan_netlink_attribute *attribute,
			  void *value, size_t size)
{
	size_t there = attribute->length < size ? attribute->length : size;

	memset(value, 0, size);
	memcpy(value, attribute->payload, there);
}

int achan_netlink_string(const struct achan_netlink_attribute *attribute,
			 char *text, size_t size)
{
	size_t length = strnlen((const char *)attribute->payload,
				attribute->length);

	if (length >= size)
		return -EBADMSG;
	memset(text, 0, size);
	memcpy(text, attribute->payload, length);
	return 0;
}
