// SPDX-License-Identifier: GPL-2.0
/*
 * vhost-net as a writer: a kernel thread that receives packets into guest
 * memory, by its own view of the VMM's address space, next to a "driver" that
 * gives it buffers.
 *
 * Packet n holds words that tell n, and is of a length that differs from that
 * of packet n +- RING. In order, each by one thread:
 *
 *	sender	sent = n + 1; send packet n
 *	vhost	buffer n % RING = packet n; used[n % RING] = its length;
 *		used.idx = n + 1	(the last two for several packets at once)
 *	driver	check packet n; consumed = n + 1; avail.idx = n + 1 + RING
 *
 * So in the memory of any single instant
 *
 *	consumed <= used.idx <= sent <= consumed + RING
 *	avail.idx = consumed + RING, or one less
 *	packets below used.idx that were not given back are whole, and so are
 *	their entries of the used ring
 *	packets from used.idx on are there in order: whole ones, at most one
 *	in part, then what was there before
 *
 * All of these are in different pages, used.idx and used[1] too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "kselftest.h"
#include "keeltest.h"

#define SIZE		((size_t)4 << 20)
#define SNAPSHOTS	100
#define RING		128UL
#define GPA		0x100000UL

#define DESC_AT		0UL
#define AVAIL_AT	(4 * PG)
#define USED_AT		(9 * PG - 8)	/* idx in page 8, ring[1] in page 9 */
#define SENT_AT		(16 * PG)
#define CONSUMED_AT	(24 * PG)
/* Across two pages, and so that a packet's words are aligned. */
#define BUFFER_AT(b)	(SIZE / 2 + ((b) * 2 + 1) * PG - 698)
#define BUFFER_SIZE	2048
#define NET_HDR		12
#define HEAD		(NET_HDR + ETH_HLEN)
#define WORDS_MIN	100
#define WORDS_MAX	160

static bool stop;

struct net {
	int fd;			/* of the memory */
	char *map;
	int tap, vhost, kick, packet;
	pthread_t sender, driver;
	int error;
	const char *what;
	uint64_t consumed;
};

static unsigned int nr_words(uint64_t n)
{
	return WORDS_MIN + n % (WORDS_MAX - WORDS_MIN + 1);
}

static uint64_t word(uint64_t n, unsigned int i)
{
	return (n + 1) << 8 | i;
}

static uint64_t *cell(void *base, size_t off)
{
	return (uint64_t *)((char *)base + off);
}

static struct vring_avail *avail_of(void *base)
{
	return (struct vring_avail *)((char *)base + AVAIL_AT);
}

static struct vring_used *used_of(void *base)
{
	return (struct vring_used *)((char *)base + USED_AT);
}

static uint64_t *packet_of(void *base, uint64_t n)
{
	return cell(base, BUFFER_AT(n % RING) + HEAD);
}

static bool packet_is_whole(void *base, uint64_t n)
{
	const struct vring_used_elem *e = &used_of(base)->ring[n % RING];
	const uint64_t *p = packet_of(base, n);
	unsigned int i;

	if (e->id != n % RING || e->len != HEAD + nr_words(n) * 8)
		return false;
	for (i = 0; i < nr_words(n); i++)
		if (p[i] != word(n, i))
			return false;
	return true;
}

static void *sender_thread(void *arg)
{
	struct net *net = arg;
	struct {
		char pad[2];
		struct ethhdr eth;
		uint64_t words[WORDS_MAX];
	} f = { .eth = { .h_proto = htons(ETH_P_802_EX1) } };
	unsigned int i;
	uint64_t n;

	memset(f.eth.h_dest, 0xff, ETH_ALEN);
	for (n = 0; ; n++) {
		while (n >= READ_ONCE(net->consumed) + RING) {
			if (READ_ONCE(stop))
				return NULL;
			sched_yield();
		}
		for (i = 0; i < nr_words(n); i++)
			f.words[i] = word(n, i);
		WRITE_ONCE(*cell(net->map, SENT_AT), n + 1);
		while (send(net->packet, &f.eth, ETH_HLEN + nr_words(n) * 8,
			    0) < 0) {
			if (errno != ENOBUFS || READ_ONCE(stop)) {
				net->what = "send";
				WRITE_ONCE(net->error, errno);
				return NULL;
			}
			sched_yield();
		}
	}
}

static void *driver_thread(void *arg)
{
	struct net *net = arg;
	uint64_t n;

	for (n = 0; ; n++) {
		while (__atomic_load_n(&used_of(net->map)->idx,
				       __ATOMIC_ACQUIRE) == (uint16_t)n) {
			if (READ_ONCE(stop))
				return NULL;
			sched_yield();
		}
		if (!packet_is_whole(net->map, n)) {
			net->what = "a packet came damaged";
			WRITE_ONCE(net->error, EIO);
			return NULL;
		}
		WRITE_ONCE(*cell(net->map, CONSUMED_AT), n + 1);
		__atomic_store_n(&avail_of(net->map)->idx, n + 1 + RING,
				 __ATOMIC_RELEASE);
		WRITE_ONCE(net->consumed, n + 1);
		if (eventfd_write(net->kick, 1)) {
			net->what = "kick";
			WRITE_ONCE(net->error, errno);
			return NULL;
		}
	}
}

static int bad(struct net *net, const char *what)
{
	net->what = what;
	return -errno;
}

/* A tap in a network of our own, so that nothing but our packets comes. */
static int open_tap(struct net *net)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	int hdr = NET_HDR;

	strcpy(ifr.ifr_name, "keel0");
	net->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (net->tap < 0)
		return bad(net, "/dev/net/tun");
	if (ioctl(net->tap, TUNSETIFF, &ifr) ||
	    ioctl(net->tap, TUNSETVNETHDRSZ, &hdr))
		return bad(net, "tap");
	kt_write_file("/proc/sys/net/ipv6/conf/keel0/disable_ipv6", "1");

	net->packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (net->packet < 0)
		return bad(net, "AF_PACKET");
	ifr.ifr_flags = IFF_UP;
	if (ioctl(net->packet, SIOCSIFFLAGS, &ifr))
		return bad(net, "tap up");
	to.sll_ifindex = if_nametoindex(ifr.ifr_name);
	if (bind(net->packet, (struct sockaddr *)&to, sizeof(to)))
		return bad(net, "bind");
	return 0;
}

static void fill_rings(char *map)
{
	struct vring_desc *desc = (struct vring_desc *)(map + DESC_AT);
	struct vring_avail *avail = avail_of(map);
	unsigned int i;

	for (i = 0; i < RING; i++) {
		desc[i].addr = GPA + BUFFER_AT(i);
		desc[i].len = BUFFER_SIZE;
		desc[i].flags = VRING_DESC_F_WRITE;
		avail->ring[i] = i;
	}
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	avail->idx = RING;
}

static int open_vhost(struct net *net)
{
	struct {
		struct vhost_memory m;
		struct vhost_memory_region r;
	} mem = {
		.m.nregions = 1,
		.r.guest_phys_addr = GPA,
		.r.memory_size = SIZE,
		.r.userspace_addr = (uintptr_t)net->map,
	};
	struct vhost_vring_state num = { .num = RING }, base = {};
	struct vhost_vring_addr addr = {
		.desc_user_addr = (uintptr_t)net->map + DESC_AT,
		.avail_user_addr = (uintptr_t)net->map + AVAIL_AT,
		.used_user_addr = (uintptr_t)net->map + USED_AT,
	};
	struct vhost_vring_file kick = {}, backend = { .fd = net->tap };
	uint64_t features = 1ULL << VIRTIO_F_VERSION_1;

	net->vhost = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (net->vhost < 0)
		return bad(net, "/dev/vhost-net");
	net->kick = eventfd(0, EFD_CLOEXEC);
	kick.fd = net->kick;
	if (net->kick < 0)
		return bad(net, "eventfd");
	if (ioctl(net->vhost, VHOST_SET_OWNER) ||
	    ioctl(net->vhost, VHOST_SET_FEATURES, &features) ||
	    ioctl(net->vhost, VHOST_SET_MEM_TABLE, &mem))
		return bad(net, "vhost device");
	if (ioctl(net->vhost, VHOST_SET_VRING_NUM, &num) ||
	    ioctl(net->vhost, VHOST_SET_VRING_BASE, &base) ||
	    ioctl(net->vhost, VHOST_SET_VRING_ADDR, &addr) ||
	    ioctl(net->vhost, VHOST_SET_VRING_KICK, &kick))
		return bad(net, "vhost ring");
	if (ioctl(net->vhost, VHOST_NET_SET_BACKEND, &backend))
		return bad(net, "vhost backend");
	return 0;
}

static int net_start(struct net *net, const char *dir)
{
	int ret;

	memset(net, 0, sizeof(*net));
	net->tap = -1;
	net->vhost = -1;
	net->kick = -1;
	net->packet = -1;
	net->fd = kt_file(dir, "ram", SIZE);
	net->map = net->fd < 0 ? NULL : kt_map(net->fd, SIZE);
	if (!net->map)
		return bad(net, "memory");
	fill_rings(net->map);
	ret = open_tap(net) ?: open_vhost(net);
	if (ret)
		return ret;
	WRITE_ONCE(stop, false);
	pthread_create(&net->sender, NULL, sender_thread, net);
	pthread_create(&net->driver, NULL, driver_thread, net);
	return 0;
}

static void net_stop(struct net *net)
{
	WRITE_ONCE(stop, true);
	pthread_join(net->sender, NULL);
	pthread_join(net->driver, NULL);
	close(net->vhost);
	close(net->tap);
	close(net->packet);
	close(net->kick);
	munmap(net->map, SIZE);
	close(net->fd);
}

static bool gets_ahead(struct net *net, uint64_t packets)
{
	uint64_t end = now_ns() + 30 * 1000000000ULL;
	uint64_t want = READ_ONCE(net->consumed) + packets;

	while (READ_ONCE(net->consumed) < want) {
		if (READ_ONCE(net->error) || now_ns() > end) {
			ksft_print_msg("stuck at packet %lu of %lu sent, used.idx %u: %s %s\n",
				       net->consumed, *cell(net->map, SENT_AT),
				       used_of(net->map)->idx, net->what ?: "",
				       strerror(net->error));
			return false;
		}
		nap_us(1000);
	}
	return true;
}

struct totals {
	int taken, bad, unannounced, in_part;
	uint64_t packets, fault, swept, eager;
};

/*
 * How many of the first words of packet @n are in its buffer already; the rest
 * must be of the packet before it there. -1 if something else is.
 */
static int words_there(void *image, uint64_t n)
{
	const uint64_t *p = packet_of(image, n);
	int i, there = 0;

	for (i = 0; i < WORDS_MIN; i++) {
		if (p[i] == word(n, i))
			there++;
		else if (p[i] != word(n - RING, i))
			return -1;
	}
	return there;
}

/* Packet @n, at or above used.idx; @before says how much of n - 1 is there. */
static const char *check_coming(void *image, uint64_t n, int before, int there)
{
	const struct vring_used_elem *e = &used_of(image)->ring[n % RING];
	bool entry = e->len == HEAD + nr_words(n) * 8;

	if (there < 0)
		return "a buffer holds what it never held";
	if (there && before < WORDS_MIN)
		return "a packet is there before the one before it";
	if (e->id != n % RING ||
	    (!entry && e->len != HEAD + nr_words(n - RING) * 8))
		return "an entry holds what it never held";
	if (entry && there < WORDS_MIN)
		return "an entry is there before its packet";
	return NULL;
}

static const char *check(void *image, struct totals *t)
{
	uint64_t sent = *cell(image, SENT_AT);
	uint64_t consumed = *cell(image, CONSUMED_AT);
	uint64_t used = consumed +
		(uint16_t)(used_of(image)->idx - (uint16_t)consumed);
	uint16_t behind = (uint16_t)(consumed + RING) - avail_of(image)->idx;
	int there, before = WORDS_MIN;
	const char *why;
	uint64_t n;

	if (behind > 1)
		return "avail.idx does not fit consumed";
	if (sent < consumed || sent > consumed + RING)
		return "sent does not fit consumed";
	if (used > sent)
		return "used.idx is ahead of what was sent";
	for (n = consumed; n < used; n++)
		if (!packet_is_whole(image, n))
			return "a packet below used.idx is not whole";
	for (n = used; n < consumed + RING - behind; n++, before = there) {
		there = words_there(image, n);
		why = check_coming(image, n, before, there);
		if (why)
			return why;
		if (there && n >= sent)
			return "a packet is there that was not sent";
		t->unannounced += there == WORDS_MIN;
		t->in_part += there && there < WORDS_MIN;
	}
	return NULL;
}

static int drain(struct ksnap *s, int i)
{
	if (i % 4 == 1)
		nap_us(3000);
	switch (i % 4) {
	case 2:
		return ksnap_drain(s, 64, 0);
	case 3:
		return ksnap_drain(s, 32, 500);
	default:
		return ksnap_drain(s, 4096, 0);
	}
}

static int one_snapshot(struct ksnap *s, struct net *net, int i,
			struct totals *t)
{
	uint64_t older, newer;
	struct keel_snap_arm a = {};
	struct keel_snap_stat st;
	struct ksnap old = *s;
	const char *why;
	int ret;

	ret = ksnap_open_default(s, 2 * SIZE);
	if (ret) {
		*s = old;
		return ret;
	}
	ksnap_reuse(s, &old);
	ret = ksnap_add(s, net->fd, SIZE) ?: ksnap_prepare(s);
	older = READ_ONCE(net->consumed);
	ret = ret ?: ksnap_arm(s, &a);
	newer = READ_ONCE(net->consumed) + 1;
	ret = ret ?: drain(s, i) ?: ksnap_stat(s, &st);
	if (ret) {
		ksft_print_msg("%s (pinned %llu) %s\n", strerror(-ret),
			       a.pinned, s->why);
		goto close;
	}
	t->taken++;
	t->fault += st.fault_pages;
	t->swept += st.swept_pages;
	t->eager += st.eager_pages;
	why = check(s->image[0], t);
	if (!why && (*cell(s->image[0], CONSUMED_AT) < older ||
		     *cell(s->image[0], CONSUMED_AT) > newer))
		why = "the image is not of the time of ARM";
	if (why) {
		ksft_print_msg("snapshot %d: %s (sent %lu consumed %lu used.idx %u avail.idx %u)\n",
			       i, why, *cell(s->image[0], SENT_AT),
			       *cell(s->image[0], CONSUMED_AT),
			       used_of(s->image[0])->idx,
			       avail_of(s->image[0])->idx);
		t->bad++;
	}
close:
	ksnap_close(s);
	return ret;
}

/* A page of now in an image of then, of each kind that there is. */
static bool planted_is_caught(struct net *net, void *image)
{
	size_t pages[] = {
		AVAIL_AT / PG, USED_AT / PG, USED_AT / PG + 1, SENT_AT / PG,
		CONSUMED_AT / PG, BUFFER_AT(0) / PG, BUFFER_AT(0) / PG + 1,
		BUFFER_AT(RING / 2) / PG, BUFFER_AT(RING / 2) / PG + 1,
	};
	struct totals t = {};
	unsigned char was[PG];
	bool caught = true;
	size_t i;

	if (!gets_ahead(net, 3 * RING))
		return false;
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		void *at = (char *)image + pages[i] * PG;

		memcpy(was, at, PG);
		memcpy(at, net->map + pages[i] * PG, PG);
		if (!check(image, &t)) {
			ksft_print_msg("a late page %zu went unseen\n",
				       pages[i]);
			caught = false;
		}
		memcpy(at, was, PG);
	}
	return caught && !check(image, &t);
}

static void variant(const char *what, const char *opts)
{
	const char *dir = kt_mount(opts);
	struct totals t = {};
	struct ksnap s = {};
	struct net net;
	bool go;
	int i, err;

	if (!dir)
		ksft_exit_fail_msg("mount keelfs -o %s: %s\n", opts,
				   strerror(errno));
	err = net_start(&net, dir);
	if (err)
		ksft_exit_fail_msg("%s: %s\n", net.what, strerror(-err));
	go = gets_ahead(&net, 2 * RING);
	kt_go_first();
	for (i = 0; go && i < SNAPSHOTS; i++)
		if (one_snapshot(&s, &net, i, &t))
			break;
	go = go && gets_ahead(&net, 2 * RING);
	ksft_print_msg("%s: %d snapshots over %lu packets; by fault %lu, swept %lu, eager %lu; at the instant %d packets received and not announced, %d in part\n",
		       what, t.taken, net.consumed, t.fault, t.swept, t.eager,
		       t.unannounced, t.in_part);
	ksft_test_result(t.taken == SNAPSHOTS && !t.bad,
			 "%s: rings and packets are of one instant\n", what);
	ksft_test_result(t.fault && t.swept,
			 "%s: both faults and the sweep saved pages\n", what);
	ksft_test_result(go && planted_is_caught(&net, s.image[0]),
			 "%s: a planted late page is caught\n", what);
	ksft_test_result(go && gets_ahead(&net, 1),
			 "%s: packets come whole and in order, and go on\n",
			 what);
	net_stop(&net);
	ksnap_free(&s);
	kt_umount(dir);
}

int main(void)
{
	const char *why = kt_keel_missing();

	ksft_print_header();
	if (why)
		ksft_exit_skip("%s\n", why);
	if (access("/dev/vhost-net", F_OK))
		ksft_exit_skip("no /dev/vhost-net\n");
	if (access("/dev/net/tun", F_OK))
		ksft_exit_skip("no /dev/net/tun\n");
	if (unshare(CLONE_NEWNET))
		ksft_exit_skip("no network of its own: %s\n", strerror(errno));
	ksft_set_plan(8);
	variant("4 KiB mappings", "huge=never");
	variant("2 MiB mappings", "huge=always");
	ksft_finished();
}
