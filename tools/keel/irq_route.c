// SPDX-License-Identifier: GPL-2.0
/* keel irq route: eventfds that keel passes on where their vCPU runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "irq.h"
#include "out.h"

/* An eventfd of a process, as a descriptor of ours; -1 after bad(). */
static int take_fd(const char *option, const char *text)
{
	const char *colon = strchr(text, ':');
	char pid_text[16];
	uint32_t pid, fd;
	int process, ours, err;

	if (!colon || colon - text >= (long)sizeof(pid_text))
		return bad("%s: '%s' is not PID:FD", option, text);
	snprintf(pid_text, sizeof(pid_text), "%.*s", (int)(colon - text), text);
	if (parse_u32(pid_text, &pid) || !pid || parse_u32(colon + 1, &fd))
		return bad("%s: '%s' is not PID:FD", option, text);
	process = syscall(SYS_pidfd_open, pid, 0);
	if (process < 0)
		return bad("%s: process %u: %s", option, pid, strerror(errno));
	ours = syscall(SYS_pidfd_getfd, process, fd, 0);
	err = errno;
	close(process);
	return ours >= 0 ? ours : bad("%s: process %u has no descriptor %u for us: %s",
				      option, pid, fd, strerror(err));
}

static int add(struct keel *keel, const char *name, int64_t vcpu, int source, int sink)
{
	struct keel_vm vm;
	uint32_t id;
	int err;

	if (vm_find(keel, name, &vm))
		return -1;
	err = keel_irq_route_add(keel, vm.id, vcpu, source, sink, &id);
	keel_vm_release(&vm);
	if (err)
		return request_error(keel, err);
	out_object(NULL);
	out_u64("id", "%llu\n", id);
	out_end();
	return 0;
}

static int add_taken(const char *name, int64_t vcpu, const char *source_text,
		     const char *sink_text)
{
	int source = take_fd("--source", source_text), sink = -1, err = -1;
	struct keel *keel;

	if (source >= 0)
		sink = take_fd("--sink", sink_text);
	if (sink >= 0 && !keel_connect(&keel)) {
		err = add(keel, name, vcpu, source, sink);
		keel_close(keel);
	}
	if (sink >= 0)
		close(sink);
	if (source >= 0)
		close(source);
	return err;
}

static int route_add(int argc, char **argv)
{
	static const struct option options[] = {
		{ "vcpu", required_argument, NULL, 'c' },
		{ "source", required_argument, NULL, 's' },
		{ "sink", required_argument, NULL, 'd' },
		{ 0 }
	};
	const char *source = NULL, *sink = NULL;
	int64_t vcpu = -1;
	int c;

	while ((c = next_option(argc, argv, options)) != -1) {
		if (c == 's')
			source = optarg;
		else if (c == 'd')
			sink = optarg;
		else if (c != 'c' || irq_parse_vcpu(optarg, &vcpu))
			return -1;
	}
	if (argc - optind != 1)
		return bad("irq route add: give one VM, by id, QEMU -name or pid");
	if (!source || !sink)
		return bad("irq route add: give the eventfds, --source PID:FD and --sink PID:FD");
	return add_taken(argv[optind], vcpu, source, sink);
}

static int route_del(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel *keel;
	uint32_t id;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1 || parse_u32(argv[optind], &id) || !id)
		return bad("irq route del: give the id of an explicit route ('keel irq show' has them)");
	if (keel_connect(&keel))
		return -1;
	err = keel_irq_route_del(keel, id);
	if (err)
		err = request_error(keel, err);
	keel_close(keel);
	return err;
}

static const struct cmd verbs[] = {
	{ "add", route_add,
	  "keel irq route add VM [--vcpu N] --source PID:FD --sink PID:FD\n"
	  "    See 'keel irq help'.\n" },
	{ "del", route_del,
	  "keel irq route del ID\n"
	  "    The signals that come from then on stay in the source.\n" },
	{ 0 }
};

int irq_route(int argc, char **argv)
{
	return cmd_select(verbs, "keel irq route", argc, argv);
}
