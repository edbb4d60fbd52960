// SPDX-License-Identifier: GPL-2.0
/*
 * A bridge learns where a guest is by what the guest sends. One that listens only, as
 * its traffic moves from its tap to a VF that stands in or back, would hear nothing
 * until some neighbour asks for it by a broadcast, half a minute perhaps. So the bridge
 * is told.
 *
 * From when its driver has the VF until that has a link, which may take seconds, a
 * guest sends by its tap, but takes nothing that comes by it: what it sends does not
 * count meanwhile.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "keeld.h"

#define STEP_US		20000
#define UP_STEPS	250	/* so long a guest may take to use a VF */
#define TELL_STEPS	150	/* and so long until its link is up */
#define PCI_COMMAND	4
#define PCI_MASTER	4

/**
 * switch_tell - tell a bridge which of its ports has a MAC
 * @mac: the MAC
 * @port: the port's network device
 * @stay: whatever it learns meanwhile; otherwise as if it had learnt that
 *
 * Return: 0, or an error of libnl's.
 */
int switch_tell(const uint8_t *mac, const char *port, bool stay)
{
	struct ndmsg neighbour = {
		.ndm_family = PF_BRIDGE,
		.ndm_ifindex = if_nametoindex(port),
		.ndm_flags = NTF_MASTER | (stay ? NTF_STICKY : 0),
		.ndm_state = NUD_REACHABLE,
	};
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWNEIGH, NLM_F_CREATE |
						NLM_F_REPLACE);
	int err = sock && msg ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	err = err ?: nlmsg_append(msg, &neighbour, sizeof(neighbour), NLMSG_ALIGNTO) ?:
	      nla_put(msg, NDA_LLADDR, 6, mac);
	if (!err) {
		err = nl_send_sync(sock, msg);
		/* It has freed that. */
		msg = NULL;
	}
	nlmsg_free(msg);
	nl_socket_free(sock);
	return err;
}

/* Of a PF's network devices the one that is a port of the bridge; "" if none is. */
static void find_port(const char *pf, const char *bridge, char *port)
{
	char *path = mkpath("/sys/bus/pci/devices/%s/net", pf), *link;
	struct dirent *each;
	DIR *dir = opendir(path);
	char to[256];
	ssize_t n;

	port[0] = 0;
	while (dir && !port[0] && (each = readdir(dir))) {
		link = mkpath("%s/%s/master", path, each->d_name);
		n = readlink(link, to, sizeof(to) - 1);
		free(link);
		if (n < 0)
			continue;
		to[n] = 0;
		if (!strcmp(strrchr(to, '/') ? strrchr(to, '/') + 1 : to, bridge))
			snprintf(port, KEEL_IFNAME_LEN, "%.15s", each->d_name);
	}
	if (dir)
		closedir(dir);
	free(path);
}

/* Has a driver in the guest taken the VF to use? It may reach memory only then. */
static bool is_used(const char *pci)
{
	char *path = mkpath("/sys/bus/pci/devices/%s/config", pci);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t command = 0;

	free(path);
	if (fd < 0)
		return false;
	if (pread(fd, &command, 1, PCI_COMMAND) != 1)
		command = 0;
	close(fd);
	return command & PCI_MASTER;
}

/* Is it the same lease still? */
static bool is_leased(const struct keel_pool_vf *vf)
{
	struct keel_pool_vf *now = NULL;
	struct keel *keel = NULL;
	bool is = false;
	int nr = -1;

	if (!keel_open(&keel))
		nr = keel_pool_vf_list(keel, &now);
	for (int i = 0; i < nr; i++)
		is |= !strcmp(now[i].pci, vf->pci) &&
		      now[i].generation == vf->generation &&
		      now[i].state == KEEL_VF_STATE_LEASED;
	free(now);
	keel_close(keel);
	return is;
}

struct move {
	struct keel_pool_vf vf;
	char port[KEEL_IFNAME_LEN];
};

static void *follow(void *arg)
{
	struct move *move = arg;
	const struct keel_pool_vf *vf = &move->vf;
	int i;

	for (i = 0; i < UP_STEPS && !is_used(vf->pci); i++)
		usleep(STEP_US);
	if (i == UP_STEPS || !is_leased(vf) ||
	    switch_tell(vf->mac, move->port, true))
		goto out;
	for (i = 0; i < TELL_STEPS && is_used(vf->pci); i++)
		usleep(STEP_US);
	/* If it is over the guest is on its tap again, and the bridge knows. */
	if (is_leased(vf))
		switch_tell(vf->mac, move->port, false);
out:
	free(move);
	return NULL;
}

/**
 * switch_moved_to_vf - a VF that stands in for a device has been plugged in
 * @vf: the VF
 * @bridge: the switch
 *
 * A thread waits until the guest uses it, and then for its link.
 */
void switch_moved_to_vf(const struct keel_pool_vf *vf, const char *bridge)
{
	struct move *move = calloc(1, sizeof(*move));
	pthread_t thread;

	if (!move)
		return;
	move->vf = *vf;
	find_port(vf->pf, bridge, move->port);
	if (!move->port[0] || pthread_create(&thread, NULL, follow, move))
		free(move);
	else
		pthread_detach(thread);
}
