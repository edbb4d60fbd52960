/* SPDX-License-Identifier: GPL-2.0 */
/* keel irq: what its files share. */
#ifndef KEEL_IRQ_TOOL_H
#define KEEL_IRQ_TOOL_H

#include "keel.h"

struct irq_vm {
	uint32_t id;
	uint32_t pid;
	char *name;		/* NULL: it has none */
};

/* All that is to be known, at about one time. */
struct irq_view {
	struct keel_irq irq;
	struct keel_irq_target *target;
	struct keel_irq_route *route;
	struct irq_vm *vm;	/* those that have targets or routes */
	int nr_targets;
	int nr_routes;
	int nr_vms;
};

/* irq.c */
void irq_show_mode(const struct keel_irq *irq);
int irq_parse_vcpu(const char *text, int64_t *vcpu);
int irq_view_get(struct keel *keel, struct irq_view *v);
void irq_view_put(struct irq_view *v);
const struct irq_vm *irq_view_vm(struct irq_view *v, uint32_t id, uint32_t pid);

/* irq_show.c */
#define IRQ_PERCENT_LEN	8
char *irq_percent(uint64_t part, uint64_t whole, char *buf);
uint64_t irq_running(const struct keel_irq_route *r);
void irq_show_number(const char *key, const char *fmt, int64_t n);
void irq_show_device(const struct keel_irq_route *r);
void irq_show_counts(const struct keel_irq_route *r);
int irq_show(int argc, char **argv);

/* irq_route.c */
int irq_route(int argc, char **argv);

/* irq_top.c */
int irq_top(int argc, char **argv);

#endif
