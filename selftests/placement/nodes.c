// SPDX-License-Identifier: GPL-2.0
/*
 * A node that has nothing but memory goes, while keel places: it is ejected, as a
 * module of memory is. Placement goes on without it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

#define NODE	"/sys/devices/system/node/node%d"
#define EJECT	"/sys/bus/acpi/devices/PNP0C80:00/eject"

static struct knl nl;
static struct subject vm;
static uint64_t seed = 1;
static int node;

static bool node_is_there(void)
{
	char path[64];

	snprintf(path, sizeof(path), NODE, node);
	return !access(path, F_OK);
}

/* All of its memory such that it can go again. */
static void online(void)
{
	char dir[64], path[400];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), NODE, node);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/state", dir, e->d_name);
		if (!strncmp(e->d_name, "memory", 6))
			kt_write_file(path, "online_movable");
	}
	if (d)
		closedir(d);
}

static bool goes(void)
{
	int i;

	for (i = 0; i < 100 && node_is_there(); i++) {
		kt_write_file(EJECT, "1");
		nap_us(100000);
	}
	return !node_is_there();
}

static bool goes_on(void)
{
	struct knl_place now;
	int ret = knl_place_get(&nl, &now);

	ret = ret ?: knl_place_wait(&nl, now.periods + 5);
	if (ret)
		ksft_print_msg("periods: %s\n", strerror(-ret));
	return !ret && subject_within(&vm);
}

static const char *missing(void)
{
	const char *why = subject_missing();

	return !why && access(EJECT, F_OK) ?
	       "no memory that can be ejected (lab run --dimm)" : why;
}

int main(void)
{
	const struct knl_place_options quick = { .period_ms = 10 };
	const char *why;

	ksft_print_header();
	why = missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	node = kt_nr_nodes() - 1;
	online();
	if (knl_open(&nl) || subject_start(&vm, &nl, NULL, 2, &seed))
		ksft_exit_fail_msg("no VM\n");
	ksft_set_plan(4);
	ksft_test_result(!knl_place_start(&nl, &quick) && goes_on(),
			 "placement with node %d\n", node);
	ksft_test_result(goes(), "the node goes\n");
	ksft_test_result(goes_on(), "placement goes on\n");
	ksft_test_result(!knl_place_stop(&nl) && subject_exact(&vm) &&
			 subject_alive(&vm), "affinities are what they were\n");
	subject_kill(&vm);
	knl_close(&nl);
	ksft_finished();
}
