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

/* What "keel irq steer" is to do. */
struct steer {
	const char *vm;		/* NULL: for the host */
	int64_t vcpu;
	uint32_t mode;
	uint32_t fallback;
};

static int parse_mode(const char *word, struct steer *s)
{
	if (!strcmp(word, "on"))
		s->mode = KEEL_IRQ_MODE_STEER;
	else if (!strcmp(word, "watch"))
		s->mode = KEEL_IRQ_MODE_WATCH;
	else if (!strcmp(word, "off") && !s->vm)
		s->mode = KEEL_IRQ_MODE_OFF;
	else if (!strcmp(word, "inherit") && s->vm)
		s->mode = KEEL_IRQ_MODE_OFF;	/* of its own */
	else
		return bad("irq steer: '%s' is not one of: on, %s, watch", word,
			   s->vm ? "inherit" : "off");
	return 0;
}

static int show_steer(struct keel *keel)
{
	struct keel_irq irq;
	int err = keel_irq_get(keel, &irq);

	if (err)
		return request_error(keel, err);
	out_object(NULL);
	irq_show_mode(&irq);
	out_text("\n");
	out_end();
	return 0;
}

static int steer_vm(struct keel *keel, const struct steer *s)
{
	struct keel_vm vm;
	int err;

	if (vm_find(keel, s->vm, &vm))
		return -1;
	err = keel_irq_set_vm(keel, vm.id, s->vcpu, s->mode, s->fallback);
	keel_vm_release(&vm);
	return err ? request_error(keel, err) : 0;
}

static int steer(struct keel *keel, const struct steer *s)
{
	int err;

	if (s->vm)
		return steer_vm(keel, s);
	if (s->mode == KEEL_AS_USUAL && s->fallback == KEEL_AS_USUAL)
		return show_steer(keel);
	err = keel_irq_set(keel, s->mode, s->fallback);
	return err ? request_error(keel, err) : 0;
}

/**
 * irq_parse_vcpu - a vCPU's number
 * @text: of --vcpu
 * @vcpu: (out)
 *
 * Return: 0, or -1 after bad().
 */
int irq_parse_vcpu(const char *text, int64_t *vcpu)
{
	uint32_t n;

	if (parse_number("--vcpu", text, &n))
		return -1;
	*vcpu = n;
	return 0;
}

static int parse_option(int c, struct steer *s)
{
	switch (c) {
	case 'f':
		return parse_word("--fallback", optarg, KEEL_IRQ_FALLBACK_INHERIT + 1,
				  fallback_name, &s->fallback);
	case 'm':
		s->vm = optarg;
		return 0;
	case 'c':
		return irq_parse_vcpu(optarg, &s->vcpu);
	default:
		return -1;
	}
}

static int irq_steer(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fallback", required_argument, NULL, 'f' },
		{ "vm", required_argument, NULL, 'm' },
		{ "vcpu", required_argument, NULL, 'c' },
		{ 0 }
	};
	struct steer s = {
		.vcpu = -1,
		.mode = KEEL_AS_USUAL,
		.fallback = KEEL_AS_USUAL,
	};
	struct keel *keel;
	int c, err;

	while ((c = next_option(argc, argv, options)) != -1)
		if (parse_option(c, &s))
			return -1;
	if (argc - optind > 1)
		return bad("irq steer: give one of on, off, watch, or nothing");
	if (optind < argc && parse_mode(argv[optind], &s))
		return -1;
	if (s.vcpu >= 0 && !s.vm)
		return bad("irq steer: --vcpu needs --vm");
	if (s.vcpu >= 0 && s.mode != KEEL_AS_USUAL)
		return bad("irq steer: a vCPU has a --fallback of its own, but is steered as its VM");
	if (s.vm && s.mode == KEEL_AS_USUAL && s.fallback == KEEL_AS_USUAL)
		return bad("irq steer: say what to do for that VM: on, watch, inherit, or --fallback");
	if (!s.vm && s.fallback == KEEL_IRQ_FALLBACK_INHERIT)
		return bad("irq steer: --fallback inherit needs --vm");
	if (keel_connect(&keel))
		return -1;
	err = steer(keel, &s);
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
	  "keel irq steer [on|off|watch] [--fallback wait|node|housekeeping|wake]\n"
	  "    on: send interrupts to the CPU where their vCPU runs. watch: only count.\n"
	  "    off: neither, and they have the affinity back that they had. --fallback:\n"
	  "    where one goes whose vCPU does not run: to the CPU where it was last (wait),\n"
	  "    that one's node, any CPU that is not isolated, or where it goes without keel\n"
	  "    (wake). Without words: what it is.\n"
	  "keel irq steer [on|watch|inherit] --vm VM [--vcpu N] [--fallback ...|inherit]\n"
	  "    The same for one VM, or (the fallback) for one vCPU of it. inherit: as the\n"
	  "    host, or as the VM.\n" },
	{ "route", irq_route,
	  "keel irq route add VM [--vcpu N] --source PID:FD --sink PID:FD\n"
	  "    Whenever the eventfd --source, which nobody else reads, is signalled, --sink\n"
	  "    is, on the CPU where its vCPU runs: that which the guest means with the\n"
	  "    interrupt of --sink, an irqfd; or --vcpu. Prints the route's id.\n"
	  "keel irq route del ID\n"
	  "    No more.\n", true },
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
