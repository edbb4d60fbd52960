// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest.h"
#include "inject.h"
#include "keeltest.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define LAST		100000
#define STARVE_TIMES	1000000
#define WORKERS		256

static const char * const memory[] = { "failslab", "fail_page_alloc" };

static int nth_fd = -1;
static bool counting, was_hit;

/* Any allocation may fail, quietly. */
static void configure(void)
{
	kt_write_file(DEBUGFS "failslab/ignore-gfp-wait", "N");
	kt_write_file(DEBUGFS "failslab/verbose", "0");
	kt_write_file(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N");
	kt_write_file(DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N");
	kt_write_file(DEBUGFS "fail_page_alloc/min-order", "0");
	kt_write_file(DEBUGFS "fail_page_alloc/verbose", "0");
	kt_write_file(DEBUGFS "fail_usercopy/verbose", "0");
}

const char *inject_missing(void)
{
	if (access(DEBUGFS "failslab", F_OK))
		mount("none", DEBUGFS, "debugfs", 0, NULL);
	if (access(DEBUGFS "failslab", F_OK) ||
	    access(DEBUGFS "fail_page_alloc", F_OK))
		return "the kernel has no fault injection";
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		return "no /proc/thread-self/fail-nth";
	configure();
	return NULL;
}

void inject_begin(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	counting = true;
	if (pwrite(nth_fd, text, len, 0) != len)
		ksft_exit_fail_msg("fail-nth: %s\n", strerror(errno));
}

/*
 * What is left of the count can hit the copies of these two calls: then nothing
 * was injected.
 */
bool inject_end(void)
{
	char text[16] = "";

	if (!counting)
		return was_hit;
	was_hit = false;
	if (pread(nth_fd, text, sizeof(text) - 1, 0) > 0)
		was_hit = !atoi(text);
	while (pwrite(nth_fd, "0", 1, 0) != 1)
		;
	counting = false;
	return was_hit;
}

int inject_talk(struct knl *nl, void *buf, size_t len)
{
	struct nlmsghdr *h = buf;
	bool dump = (h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	int ret;

	h->nlmsg_len = len;
	if (!dump)
		h->nlmsg_flags |= NLM_F_ACK;
	ret = send(nl->fd, buf, len, 0) < 0 ? -errno : 0;
	inject_end();
	return ret ?: knl_collect(nl, h->nlmsg_seq, dump);
}

int inject_command(struct knl *nl, uint8_t cmd, bool dump,
		   size_t (*put)(char *buf, size_t at))
{
	char buf[256];
	size_t at = knl_begin(nl, buf, cmd, dump ? NLM_F_DUMP : 0);

	return inject_talk(nl, buf, put ? put(buf, at) : at);
}

/* Where keel's code lies. */
static bool keel_range(unsigned long *start, unsigned long *end)
{
	unsigned long size = 0;
	char text[64], line[256];
	FILE *f;

	if (kt_read_file("/sys/module/keel/sections/.text", text,
			 sizeof(text)) <= 0)
		return false;
	f = fopen("/proc/modules", "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "keel ", 5))
			size = strtoul(line + 5, NULL, 0);
	if (f)
		fclose(f);
	*start = strtoul(text, NULL, 0);
	*end = *start + size;
	return size;
}

static void set_range(unsigned long start, unsigned long end)
{
	char path[64], text[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(memory); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s/require-start",
			 memory[i]);
		snprintf(text, sizeof(text), "%#lx", start);
		kt_write_file(path, text);
		snprintf(path, sizeof(path), DEBUGFS "%s/require-end",
			 memory[i]);
		snprintf(text, sizeof(text), "%#lx", end);
		kt_write_file(path, text);
	}
}

/*
 * Workers of unbound queues, of which keel's is one. Which of them will do a
 * piece of work nobody knows, and one may be made for it: then nothing counts.
 */
static struct {
	int tid;
	unsigned int set;
} worker[WORKERS];
static int workers;

static void find_workers(void)
{
	char path[300], comm[32];
	struct dirent *e;
	DIR *d = opendir("/proc");

	workers = 0;
	while (d && (e = readdir(d)) && workers < WORKERS) {
		if (!isdigit(e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		if (kt_read_file(path, comm, sizeof(comm)) > 0 &&
		    !strncmp(comm, "kworker/u", 9))
			worker[workers++].tid = atoi(e->d_name);
	}
	if (d)
		closedir(d);
}

static void worker_set(int i, unsigned int n)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", worker[i].tid);
	snprintf(text, sizeof(text), "%u", n);
	worker[i].set = kt_write_file(path, text) ? 0 : n;
}

/* What is left of its count; -1 if it has ended. */
static long long worker_left(int i)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", worker[i].tid);
	return kt_read_number(path);
}

void inject_workers_begin(unsigned int n)
{
	unsigned long start, end;
	int i;

	if (!keel_range(&start, &end))
		ksft_exit_fail_msg("where is keel?\n");
	set_range(start, end);
	find_workers();
	for (i = 0; i < workers; i++)
		worker_set(i, n);
}

bool inject_workers_began(void)
{
	long long left;
	int i;

	for (i = 0; i < workers; i++) {
		left = worker_left(i);
		if (left >= 0 && left != worker[i].set)
			return true;
	}
	return false;
}

bool inject_workers_end(void)
{
	bool hit = false;
	int i;

	for (i = 0; i < workers; i++) {
		hit |= worker[i].set && !worker_left(i);
		worker_set(i, 0);
	}
	set_range(0, ULONG_MAX);
	return hit;
}

bool inject_starve(bool on)
{
	unsigned long start, end;
	char text[16];

	/* Off first: with the range open everybody would starve. */
	if (!on) {
		kt_write_file(DEBUGFS "failslab/probability", "0");
		set_range(0, ULONG_MAX);
		return kt_read_number(DEBUGFS "failslab/times") < STARVE_TIMES;
	}
	if (!keel_range(&start, &end))
		return false;
	set_range(start, end);
	snprintf(text, sizeof(text), "%d", STARVE_TIMES);
	kt_write_file(DEBUGFS "failslab/times", text);
	return !kt_write_file(DEBUGFS "failslab/probability", "100");
}

bool inject_sweep(const char *name, unsigned int each,
		  int (*one)(const void *what, unsigned int n, int *failed),
		  const void *what)
{
	unsigned int n, hits = 0;
	int more = 1, failed = 0;

	for (n = 1; more > 0 && n < LAST; n += n < each ? 1 : n / (each / 8)) {
		more = one(what, n, &failed);
		hits += more > 0;
	}
	ksft_print_msg("%s: %u injected, %d seen by the caller\n", name, hits,
		       failed);
	return !more && hits;
}
