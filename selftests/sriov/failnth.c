// SPDX-License-Identifier: GPL-2.0
/*
 * Pools without memory: every allocation of their commands, and of the works that take
 * a VF from one state to the next, fails once (inject.h). Each time the caller is
 * told or it goes without; the next try does, and in the end no VF is left, nor
 * anything that holds the module.
 *
 *	failnth [NAME]
 *
 * "pool-add" only by its name: igb, whose VFs it has made, is left without them or
 * without its interrupts, and says that all went well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "inject.h"
#include "keeltest.h"

#define IGB		"/sys/bus/pci/drivers/igb"
#define PFS		IGB "/0000:*"
#define REFCNT		"/sys/module/keel/refcnt"
#define POOL		"p"
#define BRIDGE		"brf"
#define TAP		"tf"
#define WAIT_MS		20000
#define BY_NAME		"pool-add"

static struct knl nl;
static char pf[32];
static pid_t vmm;
static long long held;	/* so often is the module, without any lease */

/* What there is before: each has what the one above has. */
enum before { NOTHING, EMPTY, FREE, LEASED };

static const char * const before_name[] = {
	"nothing", "a pool", "a pool with a VF", "a lease",
};

struct sweep {
	const char *name;
	enum before before;
	uint8_t cmd;
	bool dump;
	size_t (*put)(char *buf, size_t at);
	enum before after;
};

static size_t put_text(char *buf, size_t at, uint16_t type, const char *text)
{
	return knl_put(buf, at, type, text, strlen(text) + 1);
}

static size_t put_pool(char *buf, size_t at)
{
	return put_text(buf, at, KEEL_A_NAME, POOL);
}

static size_t put_create(char *buf, size_t at)
{
	return put_text(buf, put_pool(buf, at), KEEL_A_SWITCH, BRIDGE);
}

static size_t put_set(char *buf, size_t at)
{
	return knl_put_u32(buf, put_pool(buf, at), KEEL_A_VLAN, 7);
}

static size_t put_member(char *buf, size_t at)
{
	return put_text(buf, put_pool(buf, at), KEEL_A_MEMBER, pf);
}

static size_t put_add(char *buf, size_t at)
{
	return knl_put_u32(buf, put_member(buf, at), KEEL_A_VFS, 0);
}

static size_t put_force(char *buf, size_t at)
{
	return knl_put(buf, put_pool(buf, at), KEEL_A_FORCE, NULL, 0);
}

static size_t put_port(char *buf, size_t at)
{
	at = put_text(buf, put_pool(buf, at), KEEL_A_PORT, TAP);
	return knl_put_u32(buf, at, KEEL_A_PRIORITY, 3);
}

/* Of a tap that is not there: a port that has a VF needs none kept. */
static size_t put_reserve(char *buf, size_t at)
{
	at = put_text(buf, put_pool(buf, at), KEEL_A_PORT, "tg");
	return knl_put_u32(buf, at, KEEL_A_SECONDS, 60);
}

static const struct sweep sweeps[] = {
	{ "pool-get, dump", LEASED, KEEL_CMD_POOL_GET, true, NULL, LEASED },
	{ "pool-vf-get, dump", LEASED, KEEL_CMD_POOL_VF_GET, true, NULL, LEASED },
	{ "pool-port-get, dump", LEASED, KEEL_CMD_POOL_PORT_GET, true, NULL,
	  LEASED },
	{ "pool-create", NOTHING, KEEL_CMD_POOL_CREATE, false, put_create, EMPTY },
	{ "pool-set", EMPTY, KEEL_CMD_POOL_SET, false, put_set, EMPTY },
	{ BY_NAME, EMPTY, KEEL_CMD_POOL_ADD, false, put_add, FREE },
	{ "pool-port-set", FREE, KEEL_CMD_POOL_PORT_SET, false, put_port, FREE },
	{ "pool-reserve", FREE, KEEL_CMD_POOL_RESERVE, false, put_reserve, FREE },
	{ "pool-remove", FREE, KEEL_CMD_POOL_REMOVE, false, put_member, EMPTY },
	{ "pool-delete", FREE, KEEL_CMD_POOL_DELETE, false, put_pool, NOTHING },
	{ "pool-delete, forced", LEASED, KEEL_CMD_POOL_DELETE, false, put_force,
	  NOTHING },
};

static int err(const char *what, int ret)
{
	if (ret)
		ksft_print_msg("%s: %s %s\n", what, strerror(-ret), nl.extack);
	return ret;
}

static int talk(uint8_t cmd, size_t (*put)(char *buf, size_t at))
{
	char buf[256];
	size_t at = knl_begin(&nl, buf, cmd, 0);

	return knl_talk(&nl, buf, put(buf, at));
}

/* What has the VF: "" nobody, or a driver; NULL if there is none. */
static const char *vf_driver(void)
{
	static char target[256];
	char path[128];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn0", pf);
	if (access(path, F_OK))
		return NULL;
	strcat(path, "/driver");
	len = readlink(path, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = 0;
	return len > 0 ? basename(target) : "";
}

/* A VMM as keel sees one: it has a VM, and a tap that is on the bridge. */
static int vmm_start(void)
{
	struct ifreq ifr = { .ifr_name = TAP, .ifr_flags = IFF_TAP | IFF_NO_PI };
	int ready[2], kvm, vm, tun;
	char ok = 0;

	if (pipe(ready))
		return -errno;
	vmm = fork();
	if (!vmm) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		kvm = open("/dev/kvm", O_RDWR);
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		tun = open("/dev/net/tun", O_RDWR);
		ok = vm >= 0 && !ioctl(tun, TUNSETIFF, &ifr) &&
		     !system("ip link set " TAP " up master " BRIDGE);
		if (write(ready[1], &ok, 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &ok, 1) != 1)
		ok = 0;
	close(ready[0]);
	return ok ? 0 : -EIO;
}

static void vmm_kill(void)
{
	if (vmm > 0) {
		kill(vmm, SIGKILL);
		waitpid(vmm, NULL, 0);
	}
	vmm = 0;
}

static bool is_leased(void)
{
	const char *driver = vf_driver();

	return driver && !strcmp(driver, "vfio-pci") &&
	       kt_read_number(REFCNT) > held;
}

/* What keel says of the only VF; -1: nothing. */
static int vf_state(void)
{
	char buf[64];
	size_t at = knl_begin(&nl, buf, KEEL_CMD_POOL_VF_GET, NLM_F_DUMP);
	const struct nlattr *nest, *a;
	const char *end;

	if (knl_talk(&nl, buf, at) || nl.rx_len < (int)NLMSG_LENGTH(GENL_HDRLEN))
		return -1;
	nest = (void *)(nl.rx + NLMSG_LENGTH(GENL_HDRLEN));
	if ((nest->nla_type & NLA_TYPE_MASK) != KEEL_A_POOL_VF)
		return -1;
	end = (const char *)nest + nest->nla_len;
	for (a = nest + 1; (const char *)(a + 1) <= end && a->nla_len;
	     a = (void *)((char *)a + NLA_ALIGN(a->nla_len)))
		if (a->nla_type == KEEL_A_POOL_VF_STATE)
			return *(const uint32_t *)(a + 1);
	return -1;
}

/* It is clean, nobody has it, and no lease holds the module. */
static bool is_free(void)
{
	const char *driver = vf_driver();

	return driver && !*driver && kt_read_number(REFCNT) == held &&
	       vf_state() == KEEL_VF_STATE_FREE;
}

static bool wait_until(const char *what, bool (*is)(void))
{
	int i;

	for (i = 0; i < WAIT_MS / 5; i++) {
		if (is())
			return true;
		nap_us(5000);
	}
	if (system("(keel pool show; keel vm list) | sed 's/^/# /'"))
		ksft_print_msg("keel does not say what it knows\n");
	ksft_print_msg("not %s after %d s; driver %s\n", what, WAIT_MS / 1000,
		       vf_driver() ?: "none, for there is no VF");
	return false;
}

/*
 * igb that finds no memory for its interrupts goes on with one, and makes no VFs any
 * more (EPERM): begin with it anew.
 */
static void rebind(void)
{
	char path[96];
	int i;

	kt_write_file(IGB "/unbind", pf);
	kt_write_file(IGB "/bind", pf);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/net", pf);
	for (i = 0; i < WAIT_MS / 5 && access(path, F_OK); i++)
		nap_us(5000);
}

static int add(void)
{
	int ret = talk(KEEL_CMD_POOL_ADD, put_add);

	if (ret != -EPERM)
		return ret;
	rebind();
	return talk(KEEL_CMD_POOL_ADD, put_add);
}

static int down(void)
{
	int ret;

	vmm_kill();
	ret = talk(KEEL_CMD_POOL_DELETE, put_force);
	return ret == -ENOENT ? 0 : ret;
}

static int up(enum before to)
{
	int ret = 0;

	if (to >= EMPTY)
		ret = talk(KEEL_CMD_POOL_CREATE, put_create);
	if (!ret && to >= FREE)
		ret = add();
	if (!ret && to >= FREE && !wait_until("free", is_free))
		ret = -ETIMEDOUT;
	if (!ret && to >= LEASED)
		ret = vmm_start();
	if (!ret && to >= LEASED && !wait_until("leased", is_leased))
		ret = -ETIMEDOUT;
	return ret;
}

static bool is_as(enum before state)
{
	if (state == LEASED)
		return wait_until("leased", is_leased);
	if (state == FREE)
		return wait_until("free", is_free);
	if (!vf_driver() && kt_read_number(REFCNT) == held)
		return true;
	ksft_print_msg("a VF is left, or a lease\n");
	return false;
}

static bool asks(const struct sweep *w)
{
	return w->dump;
}

static int call(const struct sweep *w)
{
	return inject_command(&nl, w->cmd, w->dump, w->put);
}

/* As the caller was told: done, or not done and done when asked again. */
static bool well_after(const struct sweep *w, int ret)
{
	knl_close(&nl);
	if (err("a new socket", knl_open(&nl)))
		return false;
	if (ret) {
		ret = call(w);
		if (ret == -EPERM && w->cmd == KEEL_CMD_POOL_ADD)
			ret = add();
		/* It was done before, but the answer was lost. */
		if (ret != -EEXIST && ret != -ENOENT && err("again", ret))
			return false;
	}
	return is_as(w->after);
}

static int one(const void *what, unsigned int n, int *failed)
{
	static const struct sweep *last;
	const struct sweep *w = what;
	bool hit;
	int ret;

	if (last != w || !asks(w))
		if (err(before_name[w->before], down() ?: up(w->before)))
			return -1;
	last = w;
	inject_begin(n);
	ret = call(w);
	hit = inject_end();
	*failed += !!ret;
	if (ret && !hit)
		err(w->name, ret);
	else if (well_after(w, ret))
		return hit;
	ksft_print_msg("n = %u\n", n);
	down();
	return -1;
}

/* What is done by itself. */
struct deed {
	const char *name;
	bool (*done)(void);	/* do it, and see that it is done */
	enum before before;
};

static bool joins(void)
{
	return !err("a VMM", vmm_start()) && wait_until("leased", is_leased);
}

static bool leaves(void)
{
	vmm_kill();
	return wait_until("free", is_free);
}

static bool comes(void)
{
	return !err("pool-add", add()) && wait_until("free", is_free);
}

static const struct deed deeds[] = {
	{ "a VF comes to the pool", comes, EMPTY },
	{ "a VM comes", joins, FREE },
	{ "a VM dies", leaves, LEASED },
};

static int deed_one(const void *what, unsigned int n, int *failed)
{
	const struct deed *d = what;
	bool done, hit;

	(void)failed;
	if (err(before_name[d->before], down() ?: up(d->before)))
		return -1;
	inject_workers_begin(n);
	done = d->done();
	hit = inject_workers_end();
	if (done && !err("the end", down()) && is_as(NOTHING))
		return hit;
	ksft_print_msg("n = %u\n", n);
	down();
	return -1;
}

static const char *missing(void)
{
	glob_t found;

	if (kt_keel_missing())
		return kt_keel_missing();
	if (glob(PFS, 0, NULL, &found))
		return "no igb PF";
	snprintf(pf, sizeof(pf), "%s", basename(found.gl_pathv[0]));
	globfree(&found);
	return inject_missing();
}

static bool wanted(int argc, char **argv, const char *name)
{
	return argc < 2 ? strcmp(name, BY_NAME) : !strcmp(argv[1], name);
}

int main(int argc, char **argv)
{
	const char *why;
	size_t i;

	ksft_print_header();
	why = missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	if (system("ip link add " BRIDGE " type bridge && ip link set " BRIDGE " up") ||
	    knl_open(&nl))
		ksft_exit_fail_msg("cannot begin: %s\n", strerror(errno));
	held = kt_read_number(REFCNT);
	ksft_set_plan(argc > 1 ? 1 : ARRAY_SIZE(sweeps) - 1 + ARRAY_SIZE(deeds));
	for (i = 0; i < ARRAY_SIZE(sweeps); i++)
		if (wanted(argc, argv, sweeps[i].name))
			ksft_test_result(inject_sweep(sweeps[i].name, INJECT_EACH,
						      one, &sweeps[i]),
					 "%s\n", sweeps[i].name);
	for (i = 0; i < ARRAY_SIZE(deeds); i++)
		if (wanted(argc, argv, deeds[i].name))
			ksft_test_result(inject_sweep(deeds[i].name, INJECT_EACH,
						      deed_one, &deeds[i]),
					 "%s\n", deeds[i].name);
	err("the end", down());
	knl_close(&nl);
	if (system("ip link del " BRIDGE))
		ksft_print_msg("the bridge stays\n");
	ksft_finished();
}
