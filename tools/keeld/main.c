// SPDX-License-Identifier: GPL-2.0
/* keeld: what keel tells, and a job for each VM in which something is to be done. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "keeld.h"

#define VMS_MAX	4096

/* A VM that something was done in, or is to be. */
struct vm {
	uint32_t id;
	uint32_t pid;
	uint64_t seen;		/* sum over what it has: a change calls for a job */
	uint64_t done;		/* what that was when the last job began */
	uint64_t retry_ns;	/* not before; 0: whenever something changes */
	bool busy;		/* a job is under way */
	bool changed;		/* for the job: since this started */
	bool failed;
	char why[256];		/* what was said last of it */
	pthread_t thread;
};

static struct vm *vms[VMS_MAX];
static int nr_vms;

/* All VMs have been brought to what they should be, or tried to be, once. */
static bool settled;

/* Written by each job that ends. */
static int ended = -1;

static void *job(void *arg)
{
	struct vm *vm = arg;
	uint64_t one = 1;

	vm->failed = job_run(vm->id, vm->pid, vm->changed);
	if (!vm->failed)
		vm->why[0] = 0;
	else if (strcmp(vm->why, error_text() ?: ""))
		say("vm %u: %s", vm->id, error_text() ?: "failed without saying why");
	snprintf(vm->why, sizeof(vm->why), "%s", error_text() ?: "");
	error_forget();
	__atomic_store_n(&vm->busy, false, __ATOMIC_RELEASE);
	if (write(ended, &one, sizeof(one)) < 0)
		abort();
	return NULL;
}

static void begin(struct vm *vm)
{
	vm->busy = true;
	/* What is there when this starts has been brought to what it should be, mostly. */
	vm->changed = settled;
	vm->done = vm->seen;
	vm->retry_ns = 0;
	if (pthread_create(&vm->thread, NULL, job, vm)) {
		vm->busy = false;
		vm->retry_ns = now_ns() + conf.retry_ms * NS_PER_MS;
		return;
	}
	pthread_detach(vm->thread);
}

static struct vm *vm_get(uint32_t id)
{
	struct vm *vm;

	for (int i = 0; i < nr_vms; i++)
		if (vms[i]->id == id)
			return vms[i];
	if (nr_vms == VMS_MAX)
		return NULL;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->id = id;
	vms[nr_vms++] = vm;
	return vm;
}

/* Mixes @more into what was seen of a VM. */
static void saw(uint32_t id, uint64_t more)
{
	struct vm *vm = id ? vm_get(id) : NULL;

	if (vm)
		vm->seen = (vm->seen ^ more) * 0x100000001b3ULL;
}

static uint64_t mix(const char *pci, uint32_t generation, uint32_t state)
{
	uint64_t h = (uint64_t)generation << 8 | state;

	while (*pci)
		h = (h ^ *pci++) * 0x100000001b3ULL;
	return h;
}

/* What is there, by VM. A device that is plugged in and has nothing to do is no news. */
static void look(const struct keel_pools *s)
{
	for (int i = 0; i < nr_vms; i++)
		vms[i]->seen = 0;
	for (int i = 0; i < s->nr_vfs; i++)
		if (s->vf[i].state == KEEL_VF_STATE_LEASED ||
		    s->vf[i].state == KEEL_VF_STATE_RELEASING)
			saw(s->vf[i].vm, mix(s->vf[i].pci, s->vf[i].generation,
					     s->vf[i].state));
	for (int i = 0; i < s->nr_ports; i++)
		if (state_wants_mac(s, &s->port[i]))
			saw(s->port[i].vm, s->port[i].ifindex);
}

/* Who runs a VM; 0 if it is no more. */
static uint32_t pid_of(struct keel *keel, uint32_t id)
{
	struct keel_vm vm;
	uint32_t pid;

	if (keel_vm_get(keel, id, &vm))
		return 0;
	pid = vm.pid;
	keel_vm_release(&vm);
	return pid;
}

/* The VMs that are no more, and have no job. */
static void forget(struct keel *keel)
{
	for (int i = 0; i < nr_vms; i++) {
		if (vms[i]->seen || vms[i]->busy || pid_of(keel, vms[i]->id))
			continue;
		free(vms[i]);
		vms[i--] = vms[--nr_vms];
	}
}

static bool reconcile(struct keel *keel)
{
	uint64_t now = now_ns();
	struct keel_pools s;

	if (keel_pools_get(keel, &s)) {
		say("%s", keel_error(keel));
		return false;
	}
	look(&s);
	for (int i = 0; i < nr_vms; i++) {
		struct vm *vm = vms[i];

		if (__atomic_load_n(&vm->busy, __ATOMIC_ACQUIRE))
			continue;
		if (vm->failed && !vm->retry_ns)
			vm->retry_ns = now + conf.retry_ms * NS_PER_MS;
		if (!vm->seen || (vm->seen == vm->done &&
				  !(vm->failed && now >= vm->retry_ns)))
			continue;
		vm->pid = pid_of(keel, vm->id);
		if (vm->pid)
			begin(vm);
	}
	forget(keel);
	ovs_reconcile(keel, s.nr_pools);
	keel_pools_put(&s);
	return true;
}

/* When nothing is under way for the first time, that is told. */
static void settle(void)
{
	int nr = 0, well = 0;
	char text[128];

	for (int i = 0; i < nr_vms; i++) {
		if (__atomic_load_n(&vms[i]->busy, __ATOMIC_ACQUIRE))
			return;
		nr += !!vms[i]->seen;
		well += vms[i]->seen && !vms[i]->failed;
	}
	settled = true;
	if (nr)
		say("%d of %d VMs with VFs are as they should be", well, nr);
	snprintf(text, sizeof(text), "STATUS=%d of %d VMs with VFs were as they should be at the start",
		 well, nr);
	notify(text);
}

/* Until the next that is to be tried again; -1: none. */
static int wait_ms(void)
{
	uint64_t now = now_ns(), first = UINT64_MAX;

	for (int i = 0; i < nr_vms; i++)
		if (!vms[i]->busy && vms[i]->failed && vms[i]->seen &&
		    vms[i]->retry_ns < first)
			first = vms[i]->retry_ns;
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 0 : (first - now) / NS_PER_MS + 1;
}

/* Events say no more than that it is time to look; those that wait are one. */
static int hear(struct keel *events)
{
	struct keel_event event;
	int err;

	do {
		err = keel_events_next(events, &event, 0);
		keel_vm_release(&event.vm);
	} while (!err || err == -ENOBUFS);
	return err == -EAGAIN || err == -EINTR ? 0 :
	       fail("%s", keel_error(events));
}

/* Of two times to wait, where -1 is for ever. */
static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int serve(struct keel *keel, struct keel *events, int signals)
{
	struct pollfd p[] = {
		{ .fd = keel_fd(events), .events = POLLIN },
		{ .fd = ended, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
		{ .events = POLLIN },
	};
	uint64_t jobs;

	/* Who started it does not wait for VMs, which may take as long as they like. */
	notify("READY=1");
	for (;;) {
		if (reconcile(keel) && !settled)
			settle();
		p[3].fd = ovs_fd();
		if (poll(p, NR(p), sooner(wait_ms(), ovs_wait_ms())) < 0 &&
		    errno != EINTR)
			return fail("poll: %s", strerror(errno));
		if (p[2].revents)
			return 0;
		if (p[1].revents && read(ended, &jobs, sizeof(jobs)) < 0)
			return fail("eventfd: %s", strerror(errno));
		if (p[0].revents && hear(events))
			return -1;
		if (p[3].revents)
			ovs_hear();
	}
}

static int start(void)
{
	struct keel *keel = NULL, *events = NULL;
	int err = -1, signals;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	ended = eventfd(0, EFD_CLOEXEC);
	if (signals < 0 || ended < 0)
		return fail("%s", strerror(errno));
	if (keel_open(&keel))
		fail("%s", keel_error(keel));
	else if (keel_open(&events) || keel_events_subscribe(events))
		fail("%s", keel_error(events));
	else
		err = serve(keel, events, signals);
	keel_close(events);
	keel_close(keel);
	return err;
}

static int usage(void)
{
	puts("keeld [--config FILE] [--check]\n"
	     "    Plug the VFs that keel leases to VMs into these, until SIGTERM.\n"
	     "    --config: instead of " KEELD_CONF ". --check: only read it.");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	const char *path = NULL;
	bool check = false;
	int c, err = 0;

	while (!err && (c = next_option(argc, argv, options)) != -1) {
		if (c == 'h')
			return usage();
		if (c == 'c')
			path = optarg;
		else if (c == 'k')
			check = true;
		else
			err = -1;
	}
	if (!err && optind < argc)
		err = bad("no such word '%s'", argv[optind]);
	err = err ?: conf_read(path ?: KEELD_CONF, path);
	if (!err && !check)
		err = start();
	if (err)
		say("%s", error_text() ?: "failed without saying why");
	return err ? error_status() ?: 1 : 0;
}
