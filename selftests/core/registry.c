// SPDX-License-Identifier: GPL-2.0
/* keel's list of virtual machines, against machines made and ended in every way. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "keeltest.h"
#include "tinyvmm.h"

#define LOW	TVM_RAM		/* the slot every tiny VM has */

FIXTURE(reg) {
	struct knl nl;
	struct knl ev;
	uint32_t vms;
};

FIXTURE_SETUP(reg)
{
	const char *why = kt_keel_missing();
	struct knl_host host;

	self->nl.fd = -1;
	if (!why)
		why = tvm_missing();
	if (why)
		SKIP(return, "%s", why);
	/* The probe guest's end has to be through. */
	nap_us(200000);
	ASSERT_EQ(0, knl_open(&self->nl));
	ASSERT_EQ(0, knl_open(&self->ev));
	ASSERT_EQ(0, knl_join_events(&self->ev));
	ASSERT_EQ(0, knl_host_get(&self->nl, &host));
	self->vms = host.vms;
}

static uint32_t vms_now(struct knl *nl)
{
	struct knl_host host;

	return knl_host_get(nl, &host) ? ~0U : host.vms;
}

static bool vms_become(struct knl *nl, uint32_t want)
{
	int i;

	for (i = 0; i < 300; i++) {
		if (vms_now(nl) == want)
			return true;
		nap_us(10000);
	}
	return false;
}

FIXTURE_TEARDOWN(reg)
{
	if (self->nl.fd < 0)
		return;
	EXPECT_TRUE(vms_become(&self->nl, self->vms));
	knl_close(&self->nl);
	knl_close(&self->ev);
}

/* Wait for @cmd about @pid (or any if 0), at most 3 s. */
static bool event(struct knl *ev, int cmd, uint32_t pid, struct knl_vm *vm)
{
	struct knl_vm local;
	uint64_t end = now_ns() + 3000000000ULL;
	int ret;

	if (!vm)
		vm = &local;
	while (now_ns() < end) {
		memset(vm, 0, sizeof(*vm));
		ret = knl_event(ev, 100, vm, NULL);
		if (ret == cmd && (!pid || vm->pid == pid))
			return true;
	}
	return false;
}

/* A VM of ours that shows up with @vcpus vCPUs. */
static int find(struct knl *nl, uint32_t pid, struct knl_vm *vm)
{
	int i, ret;

	for (i = 0; i < 300; i++) {
		ret = knl_vm_of_pid(nl, pid, vm);
		if (ret != -ENOENT)
			break;
		nap_us(10000);
	}
	return ret ?: knl_vm_get(nl, vm->id, vm);
}

TEST_F(reg, comes_and_goes)
{
	struct knl_vm vm, gone;
	struct tvm t;
	int i;

	ASSERT_EQ(0, tvm_create(&t, 2));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, tvm_load_touch(&t, i, TVM_TOUCH, 0x100000,
					    0x102000, 0x1000));
		ASSERT_EQ(0, tvm_run(&t, i));
	}
	ASSERT_EQ(0, find(&self->nl, getpid(), &vm));
	EXPECT_EQ(2, vm.nr_vcpus);
	EXPECT_EQ(2, vm.vcpus);
	EXPECT_EQ(LOW, vm.memory);
	EXPECT_EQ(0, vm.memory_keelfs);
	EXPECT_STREQ("registry", vm.comm);
	EXPECT_EQ(self->vms + 1, vms_now(&self->nl));
	EXPECT_TRUE(event(&self->ev, KEEL_CMD_VM_NEW_NTF, getpid(), NULL));
	tvm_destroy(&t);
	EXPECT_TRUE(event(&self->ev, KEEL_CMD_VM_DEL_NTF, getpid(), &gone));
	EXPECT_EQ(vm.id, gone.id);
	EXPECT_EQ(-ENOENT, knl_vm_get(&self->nl, vm.id, &vm));
}

TEST_F(reg, threads_of_vcpus)
{
	struct tvm_step step = { 0x200000, 0x201000 };
	struct knl_vm vm;
	struct tvm t;
	int i, j;

	ASSERT_EQ(0, tvm_create(&t, 3));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, tvm_load_ordered(&t, i, &step, 1));
		ASSERT_EQ(0, tvm_start(&t, i));
	}
	nap_us(300000);
	ASSERT_EQ(0, find(&self->nl, getpid(), &vm));
	ASSERT_EQ(3, vm.vcpus);
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++)
			if (vm.vcpu[j].index == (uint32_t)i)
				break;
		ASSERT_LT(j, 3);
		EXPECT_EQ(t.vcpu[i].tid, (int)vm.vcpu[j].tid);
		EXPECT_TRUE(vm.vcpu[j].has_cpu);
		EXPECT_LT((long)vm.vcpu[j].cpu, sysconf(_SC_NPROCESSORS_CONF));
	}
	EXPECT_EQ(0, tvm_stop(&t));
	tvm_destroy(&t);
}

TEST_F(reg, memory_by_kind)
{
	static const struct {
		uint32_t backing;
		size_t size;
	} want[] = {
		{ KEEL_BACKING_ANON, LOW },
		{ KEEL_BACKING_KEELFS, 4 << 20 },
		{ KEEL_BACKING_SHMEM, 2 << 20 },
		{ KEEL_BACKING_KEELFS, 6 << 20 },
	};
	const char *dir = kt_mount("huge=never");
	struct knl_vm vm;
	struct stat st;
	struct tvm t;
	int fd[3], i;
	uint64_t gpa;
	char *p;

	ASSERT_NE(NULL, dir);
	fd[0] = kt_file(dir, "a", 4 << 20);
	fd[1] = memfd_create("b", 0);
	fd[2] = kt_file(dir, "c", 8 << 20);
	/* It goes with the last file, whatever happens here. */
	kt_umount(dir);
	ASSERT_EQ(0, ftruncate(fd[1], 2 << 20));
	ASSERT_EQ(0, tvm_create(&t, 1));
	for (i = 0; i < 3; i++) {
		/* The last from an offset inside its file. */
		p = mmap(NULL, want[i + 1].size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, fd[i], i == 2 ? 2 << 20 : 0);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, tvm_add_memory(&t, p, want[i + 1].size, &gpa));
	}
	ASSERT_EQ(0, tvm_load_touch(&t, 0, TVM_TOUCH, TVM_RAM, t.next_gpa,
				    4096));
	ASSERT_EQ(0, tvm_run(&t, 0));
	ASSERT_EQ(0, find(&self->nl, getpid(), &vm));
	EXPECT_EQ(LOW + (12 << 20), vm.memory);
	EXPECT_EQ(10 << 20, vm.memory_keelfs);
	ASSERT_EQ(4, vm.regions);
	for (i = 0; i < 4; i++) {
		int r;

		for (r = 0; r < 4 && vm.region[r].slot != (uint32_t)i; r++)
			;
		ASSERT_LT(r, 4);
		EXPECT_EQ(want[i].size, vm.region[r].size);
		EXPECT_EQ(want[i].backing, vm.region[r].backing)
			TH_LOG("slot %d", i);
		if (i == 3) {
			EXPECT_EQ(2 << 20, vm.region[r].offset);
			ASSERT_EQ(0, fstat(fd[2], &st));
			EXPECT_EQ(st.st_ino, vm.region[r].ino);
		}
	}
	tvm_destroy(&t);
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* In a child: a VM with @what kept open, until told to go. */
enum keep { KEEP_ALL, KEEP_VCPU };

static pid_t child_vm(enum keep keep, int sock)
{
	pid_t pid = fork();

	if (!pid) {
		struct tvm t;

		if (tvm_create(&t, 1) ||
		    tvm_load_touch(&t, 0, TVM_TOUCH, 0x100000, 0x102000,
				   0x1000) || tvm_run(&t, 0))
			_exit(1);
		if (sock >= 0) {
			char c[CMSG_SPACE(sizeof(int))] = {}, b = 'v';
			struct iovec v = { &b, 1 };
			struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1,
					    .msg_control = c,
					    .msg_controllen = sizeof(c) };
			struct cmsghdr *h = CMSG_FIRSTHDR(&m);

			h->cmsg_level = SOL_SOCKET;
			h->cmsg_type = SCM_RIGHTS;
			h->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(h), &t.fd, sizeof(int));
			sendmsg(sock, &m, 0);
		}
		if (keep == KEEP_VCPU) {
			close(t.fd);
			t.fd = -1;
		}
		for (;;)
			pause();
	}
	return pid;
}

static int take_fd(int sock)
{
	char c[CMSG_SPACE(sizeof(int))], b;
	struct iovec v = { &b, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c,
			    .msg_controllen = sizeof(c) };
	int fd;

	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

TEST_F(reg, killed)
{
	struct knl_vm vm;
	pid_t pid = child_vm(KEEP_ALL, -1);

	ASSERT_EQ(0, find(&self->nl, pid, &vm));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(event(&self->ev, KEEL_CMD_VM_DEL_NTF, pid, NULL));
	EXPECT_EQ(-ENOENT, knl_vm_get(&self->nl, vm.id, &vm));
}

TEST_F(reg, a_vcpu_keeps_it)
{
	struct knl_vm vm;
	pid_t pid = child_vm(KEEP_VCPU, -1);

	ASSERT_EQ(0, find(&self->nl, pid, &vm));
	nap_us(500000);
	EXPECT_EQ(0, knl_vm_get(&self->nl, vm.id, &vm));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(vms_become(&self->nl, self->vms));
}

TEST_F(reg, passed_on)
{
	struct knl_vm vm;
	int sock[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = child_vm(KEEP_ALL, sock[1]);
	fd = take_fd(sock[0]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, find(&self->nl, pid, &vm));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	nap_us(500000);
	/* It lives here now; asking after it must be safe. */
	EXPECT_EQ(0, knl_vm_get(&self->nl, vm.id, &vm));
	EXPECT_EQ(self->vms + 1, vms_now(&self->nl));
	close(fd);
	EXPECT_TRUE(vms_become(&self->nl, self->vms));
	close(sock[0]);
	close(sock[1]);
}

TEST_F(reg, closed_by_a_living_process)
{
	struct knl_vm vm;
	struct tvm t;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, tvm_create(&t, 1));
		ASSERT_EQ(0, tvm_load_touch(&t, 0, TVM_TOUCH, 0x100000,
					    0x102000, 0x1000));
		ASSERT_EQ(0, tvm_run(&t, 0));
		ASSERT_EQ(0, find(&self->nl, getpid(), &vm));
		tvm_destroy(&t);
		EXPECT_TRUE(vms_become(&self->nl, self->vms));
	}
}

TEST_F(reg, many)
{
	struct knl_vm vms[64];
	pid_t pid[20];
	int i, j, n, found = 0;

	for (i = 0; i < 20; i++)
		pid[i] = child_vm(KEEP_ALL, -1);
	EXPECT_TRUE(vms_become(&self->nl, self->vms + 20));
	n = knl_vm_dump(&self->nl, vms, 64);
	EXPECT_EQ((int)self->vms + 20, n);
	for (i = 0; i < n && i < 64; i++)
		for (j = 0; j < 20; j++)
			found += vms[i].pid == (uint32_t)pid[j];
	EXPECT_EQ(20, found);
	for (i = 0; i < n && i < 64; i++)
		for (j = 0; j < i; j++)
			EXPECT_NE(vms[i].id, vms[j].id);
	for (i = 0; i < 20; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
}

/* Asked while machines come and go. */
TEST_F_TIMEOUT(reg, dumps_under_change, 120)
{
	struct knl_vm vms[64];
	uint64_t end = now_ns() + 5000000000ULL;
	pid_t pid = fork();
	int n = 0;

	if (!pid) {
		struct tvm t;

		for (;;) {
			if (!tvm_create(&t, 2) &&
			    !tvm_load_touch(&t, 0, TVM_TOUCH, 0x100000,
					    0x102000, 0x1000))
				tvm_run(&t, 0);
			tvm_destroy(&t);
		}
	}
	while (now_ns() < end && n >= 0)
		n = knl_vm_dump(&self->nl, vms, 64);
	EXPECT_LE(0, n);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(reg, found_at_load)
{
	struct tvm_step step = { 0x200000, 0x201000 };
	struct knl_vm vm, vm2;
	struct tvm t;
	pid_t pid;

	pid = child_vm(KEEP_ALL, -1);
	ASSERT_EQ(0, find(&self->nl, pid, &vm2));
	ASSERT_EQ(0, tvm_create(&t, 1));
	ASSERT_EQ(0, tvm_load_ordered(&t, 0, &step, 1));
	ASSERT_EQ(0, tvm_start(&t, 0));
	knl_close(&self->nl);
	knl_close(&self->ev);
	umount("/run/keel");
	ASSERT_EQ(0, kt_unload_within(2000));
	nap_us(100000);
	ASSERT_EQ(0, kt_load());
	mount("keelfs", "/run/keel", "keelfs", 0, NULL);
	ASSERT_EQ(0, knl_open(&self->nl));
	ASSERT_EQ(0, knl_open(&self->ev));
	ASSERT_EQ(0, knl_join_events(&self->ev));
	/* One that runs, and one that has halted and stays so. */
	ASSERT_EQ(0, find(&self->nl, getpid(), &vm));
	EXPECT_EQ(1, vm.nr_vcpus);
	EXPECT_EQ(LOW, vm.memory);
	EXPECT_EQ(t.vcpu[0].tid, (int)vm.vcpu[0].tid);
	ASSERT_EQ(0, find(&self->nl, pid, &vm2));
	EXPECT_EQ(1, vm2.nr_vcpus);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(event(&self->ev, KEEL_CMD_VM_DEL_NTF, pid, NULL));
	tvm_destroy(&t);
}

TEST_HARNESS_MAIN
