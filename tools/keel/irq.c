// SPDX-License-Identifier: GPL-2.0
/* keel irq: device interrupts, sent to where the vCPU that they are for runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "irq.h"
#include "out.h"

/** irq_show_mode - what is done; the line goes on after it */
void irq_show_mode(const struct keel_irq *irq)
{
	out_str("mode", "mode %s", keel_irq_mode_name(irq->mode));
	out_str("fallback", ", fallback %s",
		keel_irq_fallback_name(irq->fallback));
}

/**
 * irq_view_vm - a VM of the view, added to it if need be
 * @v: the view
 * @id: keel's number of it
 * @pid: its VMM
 *
 * Return: the VM, until the next call or irq_view_put(); NULL after fail().
 */
const struct irq_vm *irq_view_vm(struct irq_view *v, uint32_t id, uint32_t pid)
{
	struct irq_vm *vm;

	/* What is a VM's stands together: mostly it is the last. */
	for (int i = v->nr_vms; i-- > 0;)
		if (v->vm[i].id == id)
			return &v->vm[i];
	vm = reallocarray(v->vm, v->nr_vms + 1, sizeof(*vm));
	if (!vm) {
		fail("out of memory");
		return NULL;
	}
	v->vm = vm;
	vm += v->nr_vms++;
	*vm = (struct irq_vm){ .id = id, .pid = pid, .name = vm_name(pid) };
	return vm;
}

static int add_vms(struct irq_view *v)
{
	for (int i = 0; i < v->nr_targets; i++)
		if (!irq_view_vm(v, v->target[i].vm, v->target[i].pid))
			return -1;
	/* One that has come meanwhile. */
	for (int i = 0; i < v->nr_routes; i++)
		if (!irq_view_vm(v, v->route[i].vm, v->route[i].pid))
			return -1;
	return 0;
}

/** irq_view_put - free what irq_view_get() gave */
void irq_view_put(struct irq_view *v)
{
	for (int i = 0; i < v->nr_vms; i++)
		free(v->vm[i].name);
	free(v->vm);
	free(v->target);
	free(v->route);
	*v = (struct irq_view){ 0 };
}

/**
 * irq_view_get - what is done, for which VMs
 * @keel: the connection
 * @v: (out) for irq_view_put()
 *
 * Return: 0; or -1 after fail(), and there is nothing to be freed.
 */
int irq_view_get(struct keel *keel, struct irq_view *v)
{
	int targets, routes = 0, err;

	*v = (struct irq_view){ 0 };
	err = keel_irq_get(keel, &v->irq);
	if (err)
		return request_error(keel, err);
	targets = keel_irq_targets(keel, &v->target);
	if (targets >= 0)
		routes = keel_irq_routes(keel, &v->route);
	if (targets < 0 || routes < 0) {
		irq_view_put(v);
		return fail("%s", keel_error(keel));
	}
	v->nr_targets = targets;
	v->nr_routes = routes;
	err = add_vms(v);
	if (err)
		irq_view_put(v);
	return err;
}

static const char *fallback_name(uint32_t n)
{
	return keel_irq_fallback_name(n);
}

static int parse_mode(const char *word, uint32_t *mode)
{
	if (!strcmp(word, "on"))
		*mode = KEEL_IRQ_MODE_STEER;
	else if (!strcmp(word, "watch"))
		*mode = KEEL_IRQ_MODE_WATCH;
	else if (!strcmp(word, "off"))
		*mode = KEEL_IRQ_MODE_OFF;
	else
		return bad("irq steer: '%s' is not one of: on, off, watch", word);
	return 0;
}

static int steer(struct keel *keel, uint32_t mode, uint32_t fallback)
{
	struct keel_irq irq;
	int err;

	if (mode != KEEL_AS_USUAL || fallback != KEEL_AS_USUAL) {
		err = keel_irq_set(keel, mode, fallback);
		return err ? request_error(keel, err) : 0;
	}
	err = keel_irq_get(keel, &irq);
	if (err)
		return request_error(keel, err);
	out_object(NULL);
	irq_show_mode(&irq);
	out_text("\n");
	out_end();
	return 0;
}

static int irq_steer(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fallback", required_argument, NULL, 'f' },
		{ 0 }
	};
	uint32_t mode = KEEL_AS_USUAL, fallback = KEEL_AS_USUAL;
	struct keel *keel;
	int c, err;

	while ((c = next_option(argc, argv, options)) != -1)
		if (c != 'f' ||
		    parse_word("--fallback", optarg,
			       KEEL_IRQ_FALLBACK_HOUSEKEEPING + 1,
			       fallback_name, &fallback))
			return -1;
	if (argc - optind > 1)
		return bad("irq steer: give one of on, off, watch, or nothing");
	if (optind < argc && parse_mode(argv[optind], &mode))
		return -1;
	if (keel_connect(&keel))
		return -1;
	err = steer(keel, mode, fallback);
	keel_close(keel);
	return err;
}

static const struct cmd verbs[] = {
	{ "show", irq_show,
	  "keel irq show [VM]\n"
	  "    Where the vCPUs are that interrupts are for, which device interrupts are\n"
	  "    theirs, and how many of these came to where their vCPU ran.\n"
	  "    VM is keel's id, QEMU's -name, or the VMM's pid.\n" },
	{ "steer", irq_steer,
	  "keel irq steer [on|off|watch] [--fallback wait|node|housekeeping]\n"
	  "    on: send interrupts to the CPU where their vCPU runs. watch: only count.\n"
	  "    off: neither, and they have the affinity back that they had. --fallback:\n"
	  "    where one goes whose vCPU does not run: to the CPU where it was last (wait),\n"
	  "    that one's node, or any CPU that is not isolated. Without words: what it is.\n" },
	{ "top", irq_top,
	  "keel irq top [--interval S] [--times N]\n"
	  "    Each S (1) seconds, which interrupts came most, how many hit, and which\n"
	  "    vCPUs moved; N times, or until interrupted.\n" },
	{ 0 }
};

int cmd_irq(int argc, char **argv)
{
	return cmd_select(verbs, "keel irq", argc, argv);
}
