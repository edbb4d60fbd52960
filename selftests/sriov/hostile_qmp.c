// SPDX-License-Identifier: GPL-2.0
/*
 * keeld and a VMM that says something else than QEMU would: keeld's own jobs, with this
 * program in the place of the kernel and of the VMM.
 *
 * Whatever a VMM says, a job touches nothing of another VM's and ends; one that is done
 * afterwards with an honest VMM does just what is to be done, and nothing is left over.
 *
 *	hostile_qmp [ROUNDS [SEED]]
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"
#include "keeld.h"
#include "spoil.h"

#define VM		7
#define OTHER_VM	8
#define NICS		3
#define VFS		6
/* Each time that keeld waits for the monitor its clock goes on. */
#define STEP_MS		20

const struct hostile_limits limits = { 64 << 20, 15, 20 };

/* What is to be, as the kernel says. */

static struct {
	struct keel_pool pool;
	struct keel_pool_vf vf[VFS];
	struct keel_pool_port port[NICS + 1];	/* the last is the other VM's */
	bool ended[VFS];
	uint8_t mac_told[NICS][6];
} is;

static struct keel_pool_vf *own_vf(const char *pci)
{
	for (int i = 0; i < VFS; i++)
		if (!strcmp(is.vf[i].pci, pci) && is.vf[i].vm == VM)
			return &is.vf[i];
	wrong("a VF is touched that is not the VM's: %s", pci);
	return NULL;
}

static int own_port(const char *name)
{
	for (int i = 0; i < NICS; i++)
		if (!strcmp(is.port[i].name, name))
			return i;
	wrong("a port is touched that is not the VM's: %s", name);
	return -1;
}

static void *copy(const void *of, size_t len)
{
	void *new = malloc(len);

	if (!new)
		abort();
	return memcpy(new, of, len);
}

int keel_open(struct keel **keel)
{
	*keel = NULL;
	return 0;
}

void keel_close(struct keel *keel)
{
	(void)keel;
}

const char *keel_error(const struct keel *keel)
{
	(void)keel;
	return "the kernel refuses it";
}

int keel_pools_get(struct keel *keel, struct keel_pools *p)
{
	(void)keel;
	*p = (struct keel_pools){
		copy(&is.pool, sizeof(is.pool)), copy(is.vf, sizeof(is.vf)),
		copy(is.port, sizeof(is.port)), 1, VFS, NICS + 1,
	};
	return 0;
}

void keel_pools_put(struct keel_pools *p)
{
	free(p->pool);
	free(p->vf);
	free(p->port);
	*p = (struct keel_pools){ 0 };
}

int keel_pool_port_set(struct keel *keel, const char *name, const char *port,
		       const uint32_t *priority, const uint8_t *mac)
{
	int nic = own_port(port);

	(void)keel;
	(void)name;
	if (priority || !mac)
		wrong("a priority is told of %s", port);
	else if (!memcmp(mac, "\0\0\0\0\0\0", 6))
		wrong("no MAC is told of %s", port);
	else if (nic >= 0)
		memcpy(is.mac_told[nic], mac, 6);
	return 0;
}

int keel_lease_end(struct keel *keel, const char *pci, uint32_t generation)
{
	struct keel_pool_vf *vf = own_vf(pci);

	(void)keel;
	if (!vf)
		return -ENOENT;
	if (vf->state != KEEL_VF_STATE_LEASED || vf->generation != generation)
		wrong("a lease is ended that is none: %s", pci);
	is.ended[vf - is.vf] = true;
	return 0;
}

int node_give(const char *pci, uint32_t pid)
{
	struct keel_pool_vf *vf = own_vf(pci);

	if (vf && (vf->state != KEEL_VF_STATE_LEASED || pid != (uint32_t)getpid()))
		wrong("%s is given to %u, whose it is not", pci, pid);
	return 0;
}

int node_let_lock(uint32_t pid, uint64_t bytes)
{
	(void)bytes;
	if (pid != (uint32_t)getpid())
		wrong("%u may lock memory", pid);
	return 0;
}

void node_take_back(const char *pci)
{
	own_vf(pci);
}

int switch_tell(const uint8_t *mac, const char *port, bool stay)
{
	(void)mac;
	(void)stay;
	own_port(port);
	return 0;
}

void switch_moved_to_vf(const struct keel_pool_vf *vf, const char *bridge)
{
	own_vf(vf->pci);
	if (strcmp(bridge, is.pool.on))
		wrong("a guest is on %s, whatever that is", bridge);
}

/* Some VFs, of which each nic may have one. */
static void make_state(void)
{
	int nic = 0;

	memset(&is, 0, sizeof(is));
	strcpy(is.pool.name, "p");
	strcpy(is.pool.on, "br0");
	is.pool.options.mac = below(2) ? KEEL_POOL_MAC_GUEST : KEEL_POOL_MAC_RANDOM;
	for (int i = 0; i <= NICS; i++) {
		strcpy(is.port[i].pool, "p");
		snprintf(is.port[i].name, sizeof(is.port[i].name), "t%d", i);
		is.port[i].vm = i < NICS ? VM : OTHER_VM;
		is.port[i].mac[5] = below(2);
	}
	for (int i = 0; i < VFS; i++) {
		struct keel_pool_vf *vf = &is.vf[i];

		strcpy(vf->pool, "p");
		strcpy(vf->pf, "0000:01:00.0");
		snprintf(vf->pci, sizeof(vf->pci), "0000:01:10.%d", i);
		vf->generation = 1 + below(100);
		vf->state = KEEL_VF_STATE_FREE;
		if (i == VFS - 1 || (below(2) && nic < NICS)) {
			struct keel_pool_port *port = &is.port[i == VFS - 1 ? NICS : nic++];

			vf->state = KEEL_VF_STATE_LEASED;
			vf->vm = port->vm;
			strcpy(port->vf, vf->pci);
			port->generation = vf->generation;
		} else if (below(2)) {
			vf->state = KEEL_VF_STATE_RELEASING;
			vf->vm = VM;
		}
	}
}

/* The VMM. */

static struct vmm {
	int fd;
	struct text in, out;
	size_t sent;
	int step_ms;			/* so often it is waited for */
	int answers;			/* that were given */
	json_t *plugged;		/* name to VF */
	char going[DEVICE_NAME_LEN];	/* when it has its next turn */
	bool failover[NICS];
	bool silent;			/* of its network */
	bool stubborn;			/* it takes no VF, and has no first nic */
	json_int_t memory;		/* there, and plugged in */
	bool honest;
	int spoils;			/* so many from this answer on */
	int spoil_at;
	bool values;			/* what it says; or how */
	void (*flood)(void);		/* from then on */
	bool leaves;
} vmm;

/* A message, as it is or as it is not to be. */
static void say_json(json_t *message)
{
	struct text t = { 0 };
	bool spoil = !vmm.honest && vmm.answers >= vmm.spoil_at && vmm.spoils-- > 0;

	vmm.answers++;
	for (uint32_t i = spoil && vmm.values ? 1 + below(3) : 0; i; i--)
		message = spoil_value(message);
	if (json_is_object(message) || json_is_array(message))
		text_json(&t, message);
	else
		json_decref(message);
	text_add(&t, "\r\n", 2);
	if (spoil && !vmm.values)
		spoil_text(&t);
	text_add(&vmm.out, t.at, t.len);
	text_free(&t);
}

static void say_event(const char *name, const char *device)
{
	say_json(json_pack("{s:s,s:{s:s*},s:{s:i,s:i}}", "event", name, "data", "device", device,
			   "timestamp", "seconds", 1, "microseconds", 2));
}

static void answer(json_t *command, json_t *with)
{
	say_json(json_pack("{s:o,s:O?}", "return", with, "id", json_object_get(command, "id")));
}

static void refuse(json_t *command, const char *what)
{
	if (vmm.honest)
		wrong("it asks an honest VMM for what cannot be: %s", what);
	say_json(json_pack("{s:{s:s,s:s},s:O?}", "error", "class", "GenericError", "desc", what,
			   "id", json_object_get(command, "id")));
}

static const char *argument(json_t *command, const char *key)
{
	return json_string_value(json_object_get(json_object_get(command, "arguments"), key)) ?: "";
}

static json_t *list_devices(void)
{
	json_t *list = json_array(), *each;
	const char *name;

	json_array_append_new(list, json_pack("{s:s,s:s}", "name", "type", "type", "string"));
	for (int i = 0; i < NICS; i++)
		json_array_append_new(list, json_pack("{s:o,s:s}", "name",
						      json_sprintf("nic%d", i), "type",
						      "child<virtio-net-pci>"));
	json_object_foreach(vmm.plugged, name, each)
		json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "type",
						      "child<vfio-pci>"));
	return list;
}

/* The ports hp0, hp1, ... have what is plugged in, and then there are some more. */
static json_t *list_pci(void)
{
	json_t *list = json_array();
	int nr = json_object_size(vmm.plugged);

	for (int i = 0; i < nr + 2; i++)
		json_array_append_new(list, json_pack("{s:i,s:o,s:{s:{s:i,s:i},s:o*}}", "bus", 0,
						      "qdev_id", json_sprintf("hp%d", i),
						      "pci_bridge", "bus", "number", 0,
						      "secondary", i + 1, "devices",
						      i < nr ? json_pack("[{s:i}]", "bus", i + 1) :
							       NULL));
	return json_pack("[{s:i,s:o}]", "bus", 0, "devices", list);
}

static json_t *tell_network(void)
{
	struct text t = { 0 };
	json_t *all;

	for (int i = vmm.stubborn; i < NICS; i++)
		text_print(&t, "nic%d: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:00:00:%02x\r\n \\ n%d: index=0,type=tap,ifname=t%d,script=no,downscript=no\r\n",
			   i, 0x10 + i, i, i);
	all = json_stringn(t.at, t.len);
	text_free(&t);
	return all;
}

static void get_property(json_t *command)
{
	static const char in[] = PERIPHERAL "/";
	const char *path = argument(command, "path"), *name;
	json_t *host;

	name = strncmp(path, in, strlen(in)) ? path : path + strlen(in);
	host = json_object_get(vmm.plugged, name);
	if (!strcmp(argument(command, "property"), "host") && host)
		answer(command, json_incref(host));
	else if (!strncmp(name, "nic", 3) && name[3] >= '0' && name[3] < '0' + NICS)
		answer(command, json_boolean(vmm.failover[name[3] - '0']));
	else
		refuse(command, path);
}

static void add_device(json_t *command)
{
	const char *name = argument(command, "id"), *host = argument(command, "host");

	if (vmm.stubborn || !name[0] || !host[0] || json_object_get(vmm.plugged, name) ||
	    strcmp(argument(command, "driver"), "vfio-pci") ||
	    strncmp(argument(command, "bus"), "hp", 2)) {
		refuse(command, name);
		return;
	}
	json_object_set_new(vmm.plugged, name, json_string(host));
	answer(command, json_object());
}

static void del_device(json_t *command)
{
	const char *name = argument(command, "id");

	if (!json_object_get(vmm.plugged, name)) {
		refuse(command, name);
		return;
	}
	snprintf(vmm.going, sizeof(vmm.going), "%s", name);
	answer(command, json_object());
	say_event("DEVICE_DELETED", "somebody's");
}

/* The guest has let it go. */
static void device_goes(void)
{
	json_object_del(vmm.plugged, vmm.going);
	say_event("DEVICE_DELETED", vmm.going);
	vmm.going[0] = 0;
}

/* From when it floods it does nothing else. */
static bool floods(void)
{
	return vmm.flood && vmm.answers >= vmm.spoil_at;
}

static void obey(json_t *command)
{
	const char *what = json_string_value(json_object_get(command, "execute")) ?: "";

	if (floods())
		return;
	if (!below(4))
		say_event("RTC_CHANGE", NULL);
	if (!strcmp(what, "qmp_capabilities"))
		answer(command, json_object());
	else if (!strcmp(what, "qom-list"))
		answer(command, list_devices());
	else if (!strcmp(what, "query-status"))
		answer(command, json_pack("{s:b,s:s}", "running", 1, "status", "running"));
	else if (!strcmp(what, "query-migrate"))
		answer(command, json_object());
	else if (!strcmp(what, "human-monitor-command"))
		answer(command, vmm.silent ? json_integer(7) : tell_network());
	else if (!strcmp(what, "query-memory-size-summary"))
		answer(command, json_pack("{s:I,s:I}", "base-memory", vmm.memory,
					  "plugged-memory", vmm.memory));
	else if (!strcmp(what, "query-pci"))
		answer(command, list_pci());
	else if (!strcmp(what, "qom-get"))
		get_property(command);
	else if (!strcmp(what, "device_add"))
		add_device(command);
	else if (!strcmp(what, "device_del"))
		del_device(command);
	else
		refuse(command, what);
}

static void vmm_hear(void)
{
	char bytes[4096], *end;
	json_t *command;
	ssize_t n;

	while ((n = recv(vmm.fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		text_add(&vmm.in, bytes, n);
	while (vmm.in.len && (end = memchr(vmm.in.at, '\n', vmm.in.len))) {
		command = json_loadb(vmm.in.at, end - vmm.in.at, JSON_REJECT_DUPLICATES, NULL);
		if (!command)
			wrong("it sends what is no JSON: %.*s", (int)(end - vmm.in.at), vmm.in.at);
		obey(command);
		json_decref(command);
		vmm.in.len -= end + 1 - vmm.in.at;
		memmove(vmm.in.at, end + 1, vmm.in.len);
	}
}

static void vmm_send(void)
{
	ssize_t n;

	while (vmm.sent < vmm.out.len) {
		n = send(vmm.fd, vmm.out.at + vmm.sent, vmm.out.len - vmm.sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			return;
		vmm.sent += n;
	}
	text_free(&vmm.out);
	vmm.sent = 0;
}

/* It has its turn, as long as keeld waits for it. */
static void vmm_turn(void)
{
	if (vmm.fd < 0) {
		vmm.fd = accept(listener, NULL, NULL);
		if (vmm.fd < 0)
			return;
		if (!floods())
			say_json(json_pack("{s:{s:{},s:[s]}}", "QMP", "version", "capabilities",
					   "oob"));
	}
	if (vmm.going[0] && !floods())
		device_goes();
	vmm_hear();
	if (floods() && vmm.out.len < 1 << 20)
		vmm.flood();
	vmm_send();
	if (!vmm.honest && vmm.leaves && vmm.answers > vmm.spoil_at && !vmm.out.len)
		shutdown(vmm.fd, SHUT_RDWR);
}

/* keeld waits; if that is in vain its time is over. */
int __wrap_poll(struct pollfd *p, unsigned long nr, int ms)
{
	int n;

	vmm_turn();
	n = __real_poll(p, nr, 0);
	clock_skip(n ? vmm.step_ms : ms);
	return n;
}

/* With some devices of earlier leases, and perhaps of this one. */
static void vmm_begin(bool honest)
{
	vmm = (struct vmm){
		.fd = -1, .step_ms = STEP_MS, .honest = honest, .plugged = json_object(),
		.memory = 1 << 30,
	};
	for (int i = 0; i < NICS; i++)
		vmm.failover[i] = below(2);
	for (int i = 0; i < VFS; i++)
		if (is.vf[i].vm == VM && !below(3))
			json_object_set_new(vmm.plugged, is.vf[i].pci + 5,
					    json_string(is.vf[i].pci));
}

/* They are called as keeld would. */
static void name_plugged(void)
{
	json_t *all = json_object(), *host;
	const char *key;

	json_object_foreach(vmm.plugged, key, host) {
		const char *pci = json_string_value(host);
		char name[DEVICE_NAME_LEN];

		snprintf(name, sizeof(name), "keel-%s", pci);
		for (int i = 0; i < NICS; i++)
			if (!strcmp(is.port[i].vf, pci) && vmm.failover[i])
				snprintf(name, sizeof(name), "keel-nic%d", i);
		for (char *p = name; *p; p++)
			if (*p == ':')
				*p = '-';
		json_object_set(all, name, host);
	}
	json_decref(vmm.plugged);
	vmm.plugged = all;
}

static void vmm_end(void)
{
	if (vmm.fd >= 0)
		close(vmm.fd);
	text_free(&vmm.in);
	text_free(&vmm.out);
	json_decref(vmm.plugged);
}

/* A job as keeld does it. */
static int job(void)
{
	int err = job_run(VM, getpid(), below(2));

	if (err && !error_text())
		wrong("it fails without saying why");
	if (err)
		say("vm %u: %s", VM, error_text() ?: "failed without saying why");
	error_forget();
	return err;
}

/* What is plugged in is what is leased, and MACs are told where they were waited for. */
static void check_done(void)
{
	size_t nr = 0;

	for (int i = 0; i < NICS; i++) {
		static const uint8_t none[6];
		const struct keel_pool_port *port = &is.port[i];
		uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 0x10 + i };
		bool wants = is.pool.options.mac == KEEL_POOL_MAC_GUEST && !port->mac[5];
		char name[DEVICE_NAME_LEN];
		json_t *host;

		if (memcmp(is.mac_told[i], wants ? mac : none, 6))
			wrong("the MAC of %s is told wrong, or not", port->name);
		if (!port->vf[0])
			continue;
		nr++;
		snprintf(name, sizeof(name), vmm.failover[i] ? "keel-nic%d" : "keel-0000-01-10.%c",
			 vmm.failover[i] ? i : port->vf[strlen(port->vf) - 1]);
		host = json_object_get(vmm.plugged, name);
		if (!host || strcmp(json_string_value(host), port->vf))
			wrong("%s is not plugged in as %s", port->vf, name);
	}
	if (json_object_size(vmm.plugged) != nr)
		wrong("%zu devices are plugged in, not %zu", json_object_size(vmm.plugged), nr);
	for (int i = 0; i < VFS; i++)
		if (is.ended[i])
			wrong("the lease of %s was ended", is.vf[i].pci);
}

void honest(void)
{
	make_state();
	vmm_begin(true);
	name_plugged();
	if (job())
		wrong("a well-behaved VMM is not brought to what it should be: %s",
		      log_is_well() ? log_last() : "");
	check_done();
	vmm_end();
}

static void spoiled(bool values)
{
	make_state();
	vmm_begin(false);
	name_plugged();
	vmm.values = values;
	vmm.spoil_at = below(20);
	vmm.spoils = 1 + below(3);
	vmm.leaves = !below(4);
	job();
	vmm_end();
}

static void values(void)
{
	spoiled(true);
}

static void texts(void)
{
	spoiled(false);
}

/* Too much of something, from an answer on. */

static void flood(void (*with)(void), int at, int step_ms)
{
	make_state();
	vmm_begin(false);
	name_plugged();
	vmm.flood = with;
	vmm.spoil_at = at;
	vmm.step_ms = step_ms;
	if (!job())
		wrong("it takes that as done");
	vmm_end();
}

static void letters(void)
{
	text_add_often(&vmm.out, "yyyyyyyyyyyyyyyy", 6000);
}

static void events(void)
{
	text_add_often(&vmm.out, "{\"event\":\"X\"}\n", 10000);
}

static void long_events(void)
{
	for (int i = 0; i < 10; i++) {
		text_print(&vmm.out, "{'event':'DEVICE_DELETED','data':{'device':'");
		text_add_often(&vmm.out, "yyyyyyyyyyyyyyyy", 600);
		text_print(&vmm.out, "'}}\n");
	}
}

static void others(void)
{
	text_add_often(&vmm.out, "{\"id\":1000000,\"return\":{}}\n", 10000);
}

static void objects(void)
{
	if (!vmm.spoils++)
		text_print(&vmm.out, "{'id':2,'return':[{}");
	text_add_often(&vmm.out, ",{}", 100000);
	if (vmm.spoils == 50)
		text_print(&vmm.out, "]}\n");
}

static void endless(void)
{
	flood(letters, 0, 20);
}

static void endless_answer(void)
{
	flood(letters, 1, 20);
}

static void events_first(void)
{
	flood(events, 1, 500);
}

static void events_long(void)
{
	flood(long_events, 1, 50);
}

static void answers(void)
{
	flood(others, 1, 250);
	if (!log_is_well() || !strstr(log_last(), "in time"))
		wrong("it takes one of them: %s", log_last());
}

static void many_objects(void)
{
	flood(objects, 2, 20);
}

/* While it is waited for a device to go. */
static void events_meanwhile(void)
{
	make_state();
	memset(is.port, 0, sizeof(is.port));
	for (int i = 0; i < VFS; i++)
		is.vf[i] = (struct keel_pool_vf){ .vm = VM, .state = KEEL_VF_STATE_RELEASING };
	strcpy(is.vf[0].pci, "0000:01:10.0");
	vmm_begin(false);
	json_object_clear(vmm.plugged);
	json_object_set_new(vmm.plugged, "keel-0000-01-10.0", json_string(is.vf[0].pci));
	vmm.flood = events;
	vmm.spoil_at = 5;
	vmm.step_ms = 500;
	job();
	vmm_end();
}

/* There are so many VFs to be plugged in. */
static void wants_vfs(int nr)
{
	do
		make_state();
	while (!is.port[nr - 1].vf[0]);
	vmm_begin(false);
	json_object_clear(vmm.plugged);
	vmm.spoil_at = 1000;
}

static void no_text(void)
{
	wants_vfs(1);
	vmm.silent = true;
	if (!job())
		wrong("it takes that as done");
	vmm_end();
}

static void memory(void)
{
	wants_vfs(1);
	vmm.memory = INT64_MAX;
	job();
	check_done();
	vmm_end();
}

/* Two faults: the first is why the job fails, and the second why a lease ends. */
static void stubborn(void)
{
	wants_vfs(2);
	is.pool.options.mac = KEEL_POOL_MAC_RANDOM;
	vmm.stubborn = true;
	if (!job())
		wrong("it takes that as done");
	if (!log_is_well() || !strstr(log_last(), "the tap t0"))
		wrong("the job fails for another reason: %s", log_last());
	for (int i = 0; i < VFS; i++)
		if (is.ended[i] != (!strcmp(is.vf[i].pci, is.port[1].vf) ||
				    (is.port[2].vf[0] && !strcmp(is.vf[i].pci, is.port[2].vf))))
			wrong("the lease of %s was ended, or not", is.vf[i].pci);
	vmm_end();
}

/* It calls a VF something that is more than a line. */
static void lines(void)
{
	wants_vfs(1);
	json_object_set_new(vmm.plugged, "keel-x", json_string("x is out\n\x1b[2Jkeeld: vm 8"));
	job();
	if (json_object_get(vmm.plugged, "keel-x"))
		wrong("it is not taken out");
	vmm_end();
}

static const struct {
	const char *what;
	void (*how)(void);
} too_much[] = {
	{ "a greeting without an end", endless },
	{ "an answer without an end", endless_answer },
	{ "objects without number", many_objects },
	{ "events without number", events_first },
	{ "long events without number", events_long },
	{ "answers that nobody asked for", answers },
	{ "events without number while a device is to go", events_meanwhile },
	{ "a network that is a number", no_text },
	{ "more memory than there can be", memory },
	{ "no place for one VF, and a refusal of another", stubborn },
	{ "a VF whose address is more than a line", lines },
};

static void begin(uint64_t seed)
{
	static char *monitors[2];

	monitors[0] = (char *)hostile_begin(1 + 2 + NR(too_much), seed);
	conf.qmp = monitors;
	/* What is made once and kept. */
	honest();
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? atoi(argv[1]) : 1000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	begin(seed);
	result("an honest VMM has what it is to have", 1);
	many("VMMs that say something else", values, seed, rounds);
	many("VMMs that say it otherwise", texts, seed, rounds);
	for (size_t i = 0; i < NR(too_much); i++) {
		one(too_much[i].how);
		result(too_much[i].what, 1);
	}
	hostile_end();
}
