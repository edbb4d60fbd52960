// SPDX-License-Identifier: GPL-2.0
/*
 * keel's netlink family against messages that no library sends. Each must be
 * answered with an error, an EINVAL with a sentence beside it; none may hurt.
 *
 * KEEL_FUZZ=N sends N random messages (20000), KEEL_SEED=S begins there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "kselftest_harness.h"
#include "keeltest.h"

FIXTURE(nl) {
	struct knl nl;
};

FIXTURE_SETUP(nl)
{
	const char *why = kt_keel_missing();

	self->nl.fd = -1;
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, knl_open(&self->nl));
}

/* After any abuse the family answers as it should. */
FIXTURE_TEARDOWN(nl)
{
	struct knl_host host;
	char buf[64];

	if (self->nl.fd < 0)
		return;
	knl_close(&self->nl);
	EXPECT_EQ(0, knl_open(&self->nl));
	/* It may have been begun by the abuse. */
	knl_talk(&self->nl, buf, knl_begin(&self->nl, buf, KEEL_CMD_PLACE_STOP, 0));
	knl_talk(&self->nl, buf, knl_begin(&self->nl, buf, KEEL_CMD_MATRIX_LOAD, 0));
	EXPECT_EQ(0, knl_host_get(&self->nl, &host));
	EXPECT_LT(0, strlen(host.version));
	knl_close(&self->nl);
}

static const uint8_t with_id[] = {
	KEEL_CMD_VM_GET, KEEL_CMD_SNAPSHOT_GET, KEEL_CMD_SNAPSHOT_ABORT,
};

/* Those that look at no id, and so let one be. */
static bool ignores_id(int cmd)
{
	return cmd == KEEL_CMD_HOST_GET || (cmd >= KEEL_CMD_MATRIX_GET &&
					    cmd != KEEL_CMD_PLACE_EXPLAIN);
}

TEST_F(nl, host_get)
{
	struct knl_host host;

	ASSERT_EQ(0, knl_host_get(&self->nl, &host));
	EXPECT_LT(0, strlen(host.version));
	EXPECT_LE(0, host.vms);
}

TEST_F(nl, id_missing)
{
	char buf[64];
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(with_id); i++) {
		n = knl_begin(&self->nl, buf, with_id[i], 0);
		EXPECT_EQ(-EINVAL, knl_talk(&self->nl, buf, n));
		EXPECT_STRNE("", self->nl.extack)
			TH_LOG("cmd %u: no sentence", with_id[i]);
	}
}

TEST_F(nl, id_of_every_length)
{
	char buf[256], zero[64] = {};
	size_t i, n;
	int len, ret;

	for (i = 0; i < ARRAY_SIZE(with_id); i++) {
		for (len = 0; len <= 64; len++) {
			if (len == 4)
				continue;
			n = knl_begin(&self->nl, buf, with_id[i], 0);
			n = knl_put(buf, n, KEEL_A_ID, zero, len);
			ret = knl_talk(&self->nl, buf, n);
			/* Longer ones: the kernel may warn, and take the start. */
			if (len < 4)
				EXPECT_TRUE(ret == -EINVAL || ret == -ERANGE)
					TH_LOG("cmd %u len %d: %d", with_id[i],
					       len, ret);
			EXPECT_NE(0, ret)
				TH_LOG("cmd %u len %d", with_id[i], len);
			if (ret == -EINVAL) {
				EXPECT_STRNE("", self->nl.extack)
					TH_LOG("cmd %u len %d: no sentence",
					       with_id[i], len);
			}
		}
	}
}

TEST_F(nl, id_that_nobody_has)
{
	static const uint32_t ids[] = { 0, 0x7fffffff, 0x80000000, ~0U };
	char buf[64];
	size_t i, j, n;
	int ret;

	for (i = 0; i < ARRAY_SIZE(with_id); i++) {
		for (j = 0; j < ARRAY_SIZE(ids); j++) {
			n = knl_begin(&self->nl, buf, with_id[i], 0);
			n = knl_put(buf, n, KEEL_A_ID, &ids[j], 4);
			ret = knl_talk(&self->nl, buf, n);
			EXPECT_TRUE(ret == -ENOENT || (!ids[j] &&
						       ret == -EINVAL))
				TH_LOG("cmd %u id %u: %d", with_id[i], ids[j],
				       ret);
			EXPECT_STRNE("", self->nl.extack)
				TH_LOG("cmd %u id %u: no sentence", with_id[i],
				       ids[j]);
		}
	}
}

TEST_F(nl, id_repeated)
{
	uint32_t first = 0x7ffffff0, last = 0x7ffffff1;
	char buf[128];
	size_t i, n;
	int ret;

	for (i = 0; i < ARRAY_SIZE(with_id); i++) {
		n = knl_begin(&self->nl, buf, with_id[i], 0);
		n = knl_put(buf, n, KEEL_A_ID, &first, 4);
		n = knl_put(buf, n, KEEL_A_ID, &last, 4);
		ret = knl_talk(&self->nl, buf, n);
		EXPECT_TRUE(ret == -ENOENT || ret == -EINVAL)
			TH_LOG("cmd %u: %d", with_id[i], ret);
	}
}

/* What only answers carry, and what does not exist. */
TEST_F(nl, attributes_out_of_place)
{
	static const uint16_t types[] = {
		0, KEEL_A_HOST, KEEL_A_VM, KEEL_A_SNAPSHOT, KEEL_A_MATRIX,
		KEEL_A_PLACE, KEEL_A_PLACE_VM, KEEL_A_DECISION, KEEL_A_MOVE,
		KEEL_A_MAX + 1, 77,
		0x3fff, KEEL_A_ID | NLA_F_NESTED, KEEL_A_ID | NLA_F_NET_BYTEORDER,
		KEEL_A_VM | NLA_F_NESTED,
	};
	uint32_t id = 0x7ffffff0;
	char buf[128];
	size_t i, j, n;
	int cmd, ret;

	for (cmd = KEEL_CMD_HOST_GET; cmd <= KEEL_CMD_MAX; cmd++) {
		for (j = 0; j < ARRAY_SIZE(types); j++) {
			for (i = 0; i < 2; i++) {
				n = knl_begin(&self->nl, buf, cmd, 0);
				if (i)
					n = knl_put(buf, n, KEEL_A_ID, &id, 4);
				n = knl_put(buf, n, types[j], &id, 4);
				ret = knl_talk(&self->nl, buf, n);
				/* One policy for all: an id too many is let be. */
				if (ignores_id(cmd) &&
				    (types[j] & NLA_TYPE_MASK) == KEEL_A_ID)
					continue;
				EXPECT_NE(0, ret)
					TH_LOG("cmd %d accepts attribute %#x",
					       cmd, types[j]);
				if (ret == -EINVAL) {
					EXPECT_STRNE("", self->nl.extack)
						TH_LOG("cmd %d attribute %#x: no sentence",
						       cmd, types[j]);
				}
			}
		}
	}
}

TEST_F(nl, commands_that_are_none)
{
	static const int cmds[] = {
		0, KEEL_CMD_VM_NEW_NTF, KEEL_CMD_VM_DEL_NTF, KEEL_CMD_SNAPSHOT_NTF,
		KEEL_CMD_PLACE_MOVE_NTF, KEEL_CMD_MAX + 1, 100, 255,
	};
	uint32_t id = 1;
	char buf[64];
	size_t i, n;
	int dump;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		for (dump = 0; dump < 2; dump++) {
			n = knl_begin(&self->nl, buf, cmds[i],
				      dump ? NLM_F_DUMP : 0);
			n = knl_put(buf, n, KEEL_A_ID, &id, 4);
			EXPECT_EQ(-EOPNOTSUPP, knl_talk(&self->nl, buf, n))
				TH_LOG("cmd %d", cmds[i]);
		}
	}
	/* Those that cannot be dumped. */
	n = knl_begin(&self->nl, buf, KEEL_CMD_HOST_GET, NLM_F_DUMP);
	EXPECT_EQ(-EOPNOTSUPP, knl_talk(&self->nl, buf, n));
	n = knl_begin(&self->nl, buf, KEEL_CMD_SNAPSHOT_ABORT, NLM_F_DUMP);
	EXPECT_EQ(-EOPNOTSUPP, knl_talk(&self->nl, buf, n));
}

TEST_F(nl, truncated_messages)
{
	struct nlmsghdr *h;
	char buf[64] = {};
	size_t n;
	int i;

	for (i = 0; i < (int)NLMSG_LENGTH(GENL_HDRLEN); i++) {
		knl_begin(&self->nl, buf, KEEL_CMD_HOST_GET, 0);
		h = (void *)buf;
		h->nlmsg_flags |= NLM_F_ACK;
		h->nlmsg_len = i;
		send(self->nl.fd, buf, i, 0);
	}
	/* An attribute that claims more than there is. */
	n = knl_begin(&self->nl, buf, KEEL_CMD_VM_GET, 0);
	n = knl_put(buf, n, KEEL_A_ID, &i, 4);
	((struct nlattr *)(buf + n - 8))->nla_len = 200;
	EXPECT_GT(0, knl_talk(&self->nl, buf, n));
	((struct nlattr *)(buf + n - 8))->nla_len = 3;
	EXPECT_GT(0, knl_talk(&self->nl, buf, n));
}

TEST_F(nl, other_versions)
{
	struct genlmsghdr *g;
	char buf[64];
	size_t n;
	int v;

	/* The version says nothing: all must answer alike. */
	for (v = 0; v < 256; v++) {
		n = knl_begin(&self->nl, buf, KEEL_CMD_HOST_GET, 0);
		g = NLMSG_DATA(buf);
		g->version = v;
		EXPECT_EQ(0, knl_talk(&self->nl, buf, n));
	}
}

TEST_F(nl, header_reserved)
{
	struct genlmsghdr *g;
	char buf[64];
	size_t n;

	n = knl_begin(&self->nl, buf, KEEL_CMD_HOST_GET, 0);
	g = NLMSG_DATA(buf);
	g->reserved = 0xffff;
	EXPECT_EQ(-EINVAL, knl_talk(&self->nl, buf, n));
}

TEST_F(nl, dumps_with_garbage)
{
	static const uint8_t cmds[] = { KEEL_CMD_VM_GET, KEEL_CMD_SNAPSHOT_GET };
	char buf[512], junk[256];
	size_t i, n;
	int ret;

	memset(junk, 0xff, sizeof(junk));
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		n = knl_begin(&self->nl, buf, cmds[i], NLM_F_DUMP);
		EXPECT_EQ(0, knl_talk(&self->nl, buf, n));
		memcpy(buf + n, junk, 64);
		ret = knl_talk(&self->nl, buf, n + 64);
		EXPECT_NE(0, ret) TH_LOG("cmd %u takes junk", cmds[i]);
		n = knl_begin(&self->nl, buf, cmds[i], NLM_F_DUMP);
		n = knl_put(buf, n, KEEL_A_VM | NLA_F_NESTED, junk, 200);
		EXPECT_NE(0, knl_talk(&self->nl, buf, n));
	}
}

/* A dump that is begun and left. */
TEST_F(nl, dumps_left)
{
	char buf[64];
	size_t n;
	int i;

	for (i = 0; i < 200; i++) {
		struct knl other;

		ASSERT_EQ(0, knl_open(&other));
		n = knl_begin(&other, buf, i & 1 ? KEEL_CMD_VM_GET :
			      KEEL_CMD_SNAPSHOT_GET, NLM_F_DUMP);
		((struct nlmsghdr *)buf)->nlmsg_len = n;
		EXPECT_EQ((ssize_t)n, send(other.fd, buf, n, 0));
		knl_close(&other);
	}
}

static int unprivileged(uint8_t cmd, uint16_t flags)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		uint32_t id = 1;
		struct knl nl;
		char buf[64];
		size_t n;
		int ret;

		if (setgid(65534) || setuid(65534) || knl_open(&nl))
			_exit(255);
		n = knl_begin(&nl, buf, cmd, flags);
		if (cmd != KEEL_CMD_HOST_GET && !flags)
			n = knl_put(buf, n, KEEL_A_ID, &id, 4);
		ret = knl_talk(&nl, buf, n);
		_exit(-ret);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

TEST_F(nl, without_privilege)
{
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_HOST_GET, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_VM_GET, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_VM_GET, NLM_F_DUMP));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_SNAPSHOT_GET, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_SNAPSHOT_GET, NLM_F_DUMP));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_SNAPSHOT_ABORT, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_MATRIX_GET, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_MATRIX_MEASURE, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_MATRIX_LOAD, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_PLACE_GET, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_PLACE_START, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_PLACE_STOP, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_PLACE_MODE, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_PLACE_VM_GET, NLM_F_DUMP));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_PLACE_EXPLAIN, 0));
	EXPECT_EQ(EPERM, unprivileged(KEEL_CMD_PLACE_DECISION_GET, NLM_F_DUMP));
}

TEST_F(nl, snapshots_are_shown_and_aborted)
{
	struct knl_snapshot snap;
	struct knl events;
	struct ksnap s;
	const char *dir;
	int mem, i, ret;
	bool told = false;

	ASSERT_EQ(0, knl_open(&events));
	ASSERT_EQ(0, knl_join_events(&events));
	dir = kt_mount("huge=never");
	ASSERT_NE(NULL, dir);
	mem = kt_file(dir, "ram", 1 << 20);
	ASSERT_LE(0, mem);
	ASSERT_EQ(1, pwrite(mem, "x", 1, 0));
	ASSERT_EQ(0, ksnap_open_default(&s, 0));
	ASSERT_EQ(0, knl_snapshot_get(&self->nl, s.id, &snap));
	EXPECT_EQ(s.id, snap.id);
	EXPECT_EQ(getpid(), (pid_t)snap.pid);
	EXPECT_EQ(KEEL_SNAP_NEW, snap.state);
	EXPECT_EQ((64 << 20) / KEEL_PAGE_SIZE, snap.pool_pages);
	ASSERT_EQ(0, ksnap_add(&s, mem, 1 << 20));
	ASSERT_EQ(0, ksnap_prepare(&s));
	ASSERT_EQ(0, ksnap_arm(&s, NULL));
	ASSERT_EQ(0, knl_snapshot_get(&self->nl, s.id, &snap));
	EXPECT_EQ(KEEL_SNAP_ARMED, snap.state);
	EXPECT_EQ(1, snap.files);
	EXPECT_EQ(1, snap.pages);
	EXPECT_EQ(0, knl_snapshot_abort(&self->nl, s.id));
	EXPECT_EQ(-EALREADY, knl_snapshot_abort(&self->nl, s.id));
	EXPECT_STRNE("", self->nl.extack);
	ASSERT_EQ(0, knl_snapshot_get(&self->nl, s.id, &snap));
	EXPECT_EQ(KEEL_SNAP_ABORTED, snap.state);
	EXPECT_EQ(KEEL_REASON_REQUESTED, snap.reason);
	ksnap_free(&s);
	EXPECT_EQ(-ENOENT, knl_snapshot_get(&self->nl, s.id, &snap));
	for (i = 0; i < 20; i++) {
		ret = knl_event(&events, 200, NULL, &snap);
		if (ret == KEEL_CMD_SNAPSHOT_NTF && snap.id == s.id &&
		    snap.state == KEEL_SNAP_ABORTED) {
			told = true;
			break;
		}
	}
	EXPECT_TRUE(told);
	knl_close(&events);
	close(mem);
	kt_umount(dir);
}

/*
 * Random messages: half-way sensible, so that they get past the first check.
 * The verdict is the kernel's log and that the family still answers.
 */
TEST_F_TIMEOUT(nl, fuzz, 300)
{
	uint64_t seed = strtoull(getenv("KEEL_SEED") ?: "1", NULL, 0);
	int count = atoi(getenv("KEEL_FUZZ") ?: "20000");
	unsigned char buf[512], drop[65536], data[128];
	struct nlmsghdr *h = (void *)buf;
	size_t n, i;
	int k;

	TH_LOG("%d messages, seed %lu", count, seed);
	for (k = 0; k < count; k++) {
		int attrs = rnd64(&seed) % 5;
		int cmd = rnd64(&seed) % (KEEL_CMD_MAX + 3);

		/* Takes its time. */
		if (cmd == KEEL_CMD_MATRIX_MEASURE && k % 1024)
			cmd = KEEL_CMD_PLACE_START;
		n = knl_begin(&self->nl, buf, cmd,
			      rnd64(&seed) % 4 ? NLM_F_ACK : NLM_F_DUMP);
		while (attrs--) {
			uint16_t len = rnd64(&seed) % 3 ? 4 :
				       rnd64(&seed) % 64;

			for (i = 0; i < sizeof(data); i++)
				data[i] = rnd64(&seed) % 4 ? 0 : rnd64(&seed);
			n = knl_put(buf, n, rnd64(&seed) % (KEEL_A_MAX + 2) |
				    (rnd64(&seed) % 16 ? 0 :
				     rnd64(&seed) & 0xc000), data, len);
		}
		h->nlmsg_len = n;
		/* Now and then a flipped byte anywhere behind the type. */
		if (rnd64(&seed) % 3 == 0)
			buf[6 + rnd64(&seed) % (n - 6)] ^= rnd64(&seed);
		if (rnd64(&seed) % 8 == 0)
			h->nlmsg_len = rnd64(&seed) % (n + 32);
		h->nlmsg_type = self->nl.family;
		send(self->nl.fd, buf, n, MSG_DONTWAIT);
		while (recv(self->nl.fd, drop, sizeof(drop), MSG_DONTWAIT) > 0)
			;
	}
}

TEST_HARNESS_MAIN
