// SPDX-License-Identifier: GPL-2.0
/* Plugging VFs into a QEMU and out of it, over its monitor. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeld.h"

#define PREFIX		"keel-"

/* @pattern with %n and %p filled in; to be freed. */
static char *fill_in(const char *pattern, const char *name, uint32_t pid)
{
	char *path = mkpath("%s", ""), *longer;

	for (const char *p = pattern; *p; p++) {
		if (p[0] == '%' && p[1] == 'n')
			longer = mkpath("%s%s", path, name);
		else if (p[0] == '%' && p[1] == 'p')
			longer = mkpath("%s%u", path, pid);
		else
			longer = mkpath("%s%c", path, *p);
		p += p[0] == '%' && (p[1] == 'n' || p[1] == 'p');
		free(path);
		path = longer;
	}
	return path;
}

/* Of "-qmp unix:PATH,server=on", PATH; to be freed. */
static char *path_of(const char *option)
{
	return strncmp(option, "unix:", 5) ? NULL :
	       strndup(option + 5, strcspn(option + 5, ","));
}

static int try_own(struct qmp *q, uint32_t pid)
{
	char **argv = read_cmdline(pid, NULL), *path;
	int err = -1;

	for (char **a = argv; err && a && *a && a[1]; a++) {
		if (strcmp(*a, "-qmp") && strcmp(*a, "--qmp"))
			continue;
		path = path_of(a[1]);
		if (path)
			err = qmp_connect(q, path);
		free(path);
	}
	strv_free(argv);
	return err;
}

/**
 * plug_connect - reach a VM's monitor
 * @q: (out) the connection
 * @pid: the VMM
 *
 * Where the configuration says, or its command line.
 *
 * Return: 0, or -1 after fail() or bad().
 */
int plug_connect(struct qmp *q, uint32_t pid)
{
	char *name = vm_name(pid), *path;
	int err = -1;

	for (char **p = conf.qmp; err && p && *p; p++) {
		/* A name is the VMM's: it may not lead out of the directory. */
		if (name && strchr(name, '/'))
			break;
		path = fill_in(*p, name ? name : "", pid);
		err = qmp_connect(q, path);
		free(path);
	}
	free(name);
	if (err)
		err = try_own(q, pid);
	if (err)
		fail("no monitor of the VMM %u: none in \"qmp\" of the configuration, and no -qmp unix:PATH",
		     pid);
	else
		error_forget();
	return err;
}

/* Does "...type=tap,ifname=NAME,..." or fd=N speak of this tap? */
static bool is_tap(const char *line, size_t len, uint32_t pid, const char *tap)
{
	char *text = strndup(line, len), *p, *path, *info;
	bool is = false;

	p = strstr(text, "ifname=");
	if (p) {
		p += strlen("ifname=");
		is = strcspn(p, ",") == strlen(tap) &&
		     !strncmp(p, tap, strlen(tap));
	} else {
		p = strstr(text, "fd=");
		if (!p)
			goto out;
		path = mkpath("/proc/%u/fdinfo/%d", pid, atoi(p + 3));
		info = read_text(path, NULL);
		p = info ? strstr(info, "iff:\t") : NULL;
		is = p && strcspn(p + 5, "\n") == strlen(tap) &&
		     !strncmp(p + 5, tap, strlen(tap));
		free(info);
		free(path);
	}
out:
	free(text);
	return is;
}

static int parse_nic(const char *line, size_t len, struct nic *nic)
{
	char *text = strndup(line, len), *mac = strstr(text, "macaddr=");
	unsigned int m[6];
	int n = 0;

	if (mac)
		n = sscanf(mac, "macaddr=%x:%x:%x:%x:%x:%x", &m[0], &m[1],
			   &m[2], &m[3], &m[4], &m[5]);
	snprintf(nic->id, sizeof(nic->id), "%.*s", (int)strcspn(text, ":"), text);
	for (int i = 0; i < 6 && n == 6; i++)
		nic->mac[i] = m[i];
	free(text);
	return n == 6 ? 0 : fail("the guest's network device has no MAC");
}

/*
 * "info network" has a line for each network device, and below it, behind " \ ", what
 * serves it.
 */
static int find_nic(const char *text, uint32_t pid, const char *tap,
		    struct nic *nic)
{
	const char *above = NULL, *line, *end;
	size_t above_len = 0;

	for (line = text; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (strncmp(line, " \\ ", 3)) {
			above = line;
			above_len = strcspn(line, "\r\n");
		} else if (above && is_tap(line, strcspn(line, "\r\n"), pid, tap)) {
			return parse_nic(above, above_len, nic);
		}
	}
	return fail("QEMU knows no network device that the tap %s serves", tap);
}

static bool has_failover(struct qmp *q, const char *id)
{
	char *path = mkpath("%s/%s", PERIPHERAL, id);
	json_t *on = qmp_try(q, "qom-get",
			     json_pack("{s:s,s:s}", "path", path, "property",
				       "failover"), -1, QMP_CALL_MS);
	bool has = json_is_true(on);

	json_decref(on);
	free(path);
	return has;
}

/**
 * plug_nic - the guest's network device that a tap serves
 * @q: the monitor
 * @view: what it says
 * @pid: the VMM
 * @tap: the tap
 * @nic: (out) the device
 *
 * Return: 0, or -1 after fail().
 */
int plug_nic(struct qmp *q, struct view *view, uint32_t pid, const char *tap,
	     struct nic *nic)
{
	const char *text = view_network(q, view);
	int err;

	*nic = (struct nic){ .id = "" };
	err = text ? find_nic(text, pid, tap, nic) : -1;
	if (!err)
		nic->failover = has_failover(q, nic->id);
	return err;
}

/*
 * What a VF's device is called. A network device has the same one stand in for it
 * for as long as it lives.
 */
static void plug_name(const struct keel_pool_vf *vf, const struct nic *nic,
		      char *name)
{
	snprintf(name, DEVICE_NAME_LEN, PREFIX "%s",
		 nic->failover ? nic->id : vf->pci);
	for (char *p = name; *p; p++)
		if (*p == ':')
			*p = '-';
}

/** plug_stands_in - is that device a VF that stands in for @nic? */
bool plug_stands_in(const char *name, const struct nic *nic)
{
	return nic->failover && !strncmp(name, PREFIX, strlen(PREFIX)) &&
	       !strcmp(name + strlen(PREFIX), nic->id);
}

/* Adds a device to @own by its name, if it is a VF that keeld has plugged in. */
static int plug_look(struct qmp *q, const char *name, json_t *own)
{
	char *path = mkpath("%s/%s", PERIPHERAL, name);
	json_t *host = qmp_try(q, "qom-get",
			       json_pack("{s:s,s:s}", "path", path, "property",
					 "host"), -1, QMP_CALL_MS);

	free(path);
	if (!json_is_string(host)) {
		json_decref(host);
		/* It has gone since, unless nobody answers. */
		return q->error[0] ? 0 : fail("QEMU's monitor does not answer");
	}
	return json_object_set_new(own, name, host);
}

/**
 * plug_list - the VFs that keeld has plugged in
 * @q: the monitor
 * @view: what it says
 * @which: say which these are
 *
 * Return: an object, from the name of each device to the VF's address, or to the name
 * once more; NULL after fail().
 */
json_t *plug_list(struct qmp *q, const struct view *view, bool which)
{
	json_t *own = json_object(), *each;
	const char *name;
	int err = 0;
	size_t i;

	json_array_foreach(view->devices, i, each) {
		name = json_string_value(json_object_get(each, "name"));
		if (err || !name || strncmp(name, PREFIX, strlen(PREFIX)))
			continue;
		err = which ? plug_look(q, name, own) :
		      json_object_set_new(own, name, json_string(name));
	}
	if (!err)
		return own;
	json_decref(own);
	return NULL;
}

/* Of the PCIe ports of a VM: what was found. */
struct ports {
	char *free;		/* one that has a name and nothing on it; to be freed */
	bool some;
	bool early;		/* some are not set up: what is on them is not told */
};

static void find_port(json_t *devices, struct ports *ports)
{
	json_t *device, *bridge, *id, *bus;
	size_t i;

	json_array_foreach(devices, i, device) {
		bridge = json_object_get(device, "pci_bridge");
		id = json_object_get(device, "qdev_id");
		bus = json_object_get(bridge, "bus");
		if (!bridge || ports->free)
			continue;
		ports->some = true;
		if (!json_integer_value(json_object_get(bus, "secondary")))
			ports->early = true;
		else if (!json_array_size(json_object_get(bridge, "devices")) &&
			 json_is_string(id) && json_string_value(id)[0])
			ports->free = strdup(json_string_value(id));
		else
			find_port(json_object_get(bridge, "devices"), ports);
	}
}

/*
 * Where a device can be plugged in; NULL: there are no ports at all, so let QEMU
 * choose. Return: as plug_add().
 */
static int choose_port(struct qmp *q, struct view *view, char **port)
{
	struct ports ports = { 0 };
	json_t *bus;
	size_t i;

	*port = NULL;
	if (view_pci(q, view))
		return -1;
	json_array_foreach(view->pci, i, bus)
		find_port(json_object_get(bus, "devices"), &ports);
	*port = ports.free;
	if (ports.free || !ports.some)
		return 0;
	if (!ports.early)
		return fail("the VM has no free PCIe port: start it with more of -device pcie-root-port,id=...");
	fail("the VM has not set up its PCIe ports yet");
	return 1;
}

/**
 * plug_add - plug a VF in
 * @q: the monitor
 * @view: what it says
 * @vf: the VF
 * @nic: the network device that it stands in for, if that has failover
 *
 * Return: 0; 1 after fail() if it is too early; -1 after fail(), and @q->error is
 * set if QEMU refused.
 */
int plug_add(struct qmp *q, struct view *view, const struct keel_pool_vf *vf,
	     const struct nic *nic)
{
	char name[DEVICE_NAME_LEN], *port;
	json_t *args, *ret;
	int err;

	q->error[0] = 0;
	err = choose_port(q, view, &port);
	if (err)
		return err;
	view_pci_changes(view);
	plug_name(vf, nic, name);
	args = json_pack("{s:s,s:s,s:s,s:s*,s:s*}", "driver", "vfio-pci", "host",
			 vf->pci, "id", name, "bus", port, "failover_pair_id", nic->failover ? nic->id : NULL);
	free(port);
	ret = qmp_call(q, "device_add", args, -1, QMP_CALL_MS);
	json_decref(ret);
	return ret ? 0 : -1;
}

/**
 * plug_del - have the guest let a device go, and wait until it has
 * @q: the monitor
 * @view: what it says
 * @name: the device
 *
 * Return: 0, or -1 after fail().
 */
int plug_del(struct qmp *q, struct view *view, const char *name)
{
	uint64_t deadline = now_ns() + conf.unplug_ms * NS_PER_MS;
	const char *which;
	json_t *ret, *event;
	bool gone;

	view_pci_changes(view);
	qmp_forget_events(q);
	ret = qmp_call(q, "device_del", json_pack("{s:s}", "id", name), -1,
		       QMP_CALL_MS);
	json_decref(ret);
	if (!ret)
		return -1;
	while ((event = qmp_event(q, "DEVICE_DELETED", NULL, deadline))) {
		which = json_string_value(json_object_get(
				json_object_get(event, "data"), "device"));
		gone = which && !strcmp(which, name);
		json_decref(event);
		if (gone)
			return 0;
	}
	error_forget();
	return fail("the guest has not let %s go in %u ms", name, conf.unplug_ms);
}
