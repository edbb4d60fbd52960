// SPDX-License-Identifier: GPL-2.0
/* 6.8: "eventfd: simplify eventfd_signal()": always by one */
#include <linux/eventfd.h>

void probe(struct eventfd_ctx *ctx);
void probe(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}
