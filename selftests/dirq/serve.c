// SPDX-License-Identifier: GPL-2.0
/*
 * A tiny VM with eventfds, for tests that are no C: two vCPUs, of which the first
 * spins and the other halts, and four sources. It says what it is in a line of JSON,
 * and then does what it is told in lines, each of which it answers with one:
 *
 *	serve [-d BDF] [-s SPIN]
 *
 * -d: the VF there, which vfio-pci has, interrupts it by the first three sources;
 * -s: which vCPUs spin, bit by bit (1).
 *
 *	send I N		N interrupts by source I, one after the other
 *	spread I SECONDS HZ	as many a second by source I, for so long; how many
 *	signal I		signal source I, and wait for nothing
 *	routed I		from now on "send I" signals the source, not the sink
 *	close I			nobody has source I open any more
 *	program I VCPU VECTOR	the guest wants source I there
 *	taken VCPU VECTOR	how many that vCPU took
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "intvm.h"
#include "keeltest.h"

#define SOURCES	4

static struct intvm v;

static int send_some(int i, int n)
{
	int ret = 0;

	while (n-- > 0 && !ret)
		ret = intvm_send(&v, i);
	return ret;
}

/* At even times, if they arrive in time. */
static int spread(int i, int seconds, int hz, unsigned long long *sent)
{
	struct timespec next;
	int n, ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (n = 0; n < seconds * hz && !ret; n++) {
		ret = intvm_send(&v, i);
		*sent += !ret;
		next.tv_nsec += 1000000000 / hz;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return ret;
}

static int obey(const char *line, unsigned long long *answer)
{
	int a, b, c;

	*answer = 0;
	if (sscanf(line, "send %d %d", &a, &b) == 2)
		return send_some(a, b);
	if (sscanf(line, "spread %d %d %d", &a, &b, &c) == 3)
		return spread(a, b, c, answer);
	if (sscanf(line, "signal %d", &a) == 1)
		return eventfd_write(v.src[a].source, 1) ? -errno : 0;
	if (sscanf(line, "routed %d", &a) == 1) {
		v.src[a].routed = true;
		return 0;
	}
	if (sscanf(line, "close %d", &a) == 1) {
		close(v.src[a].source);
		v.src[a].source = -1;
		return 0;
	}
	if (sscanf(line, "program %d %d %d", &a, &b, &c) == 3)
		return intvm_program(&v, a, b, c);
	if (sscanf(line, "taken %d %d", &a, &b) == 2) {
		*answer = tvm_taken(&v.vm, a, b);
		return 0;
	}
	return -EINVAL;
}

int main(int argc, char **argv)
{
	unsigned long long answer;
	const char *bdf = NULL;
	unsigned int spin = 1;
	char line[64];
	struct knl nl;
	int i, opt, ret;

	while ((opt = getopt(argc, argv, "d:s:")) != -1) {
		if (opt == 'd')
			bdf = optarg;
		else
			spin = atoi(optarg);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = knl_open(&nl) ?: intvm_start(&v, &nl, 2, spin, SOURCES);
	if (!ret && bdf)
		ret = intvm_take_vf(&v, bdf);
	if (ret) {
		fprintf(stderr, "no VM: %s\n", strerror(-ret));
		return 1;
	}
	printf("{\"vm\": %u, \"sources\": [", v.id);
	for (i = 0; i < SOURCES; i++)
		printf("%s{\"source\": %d, \"sink\": %d, \"vcpu\": %d, \"vector\": %d}",
		       i ? ", " : "", v.src[i].source, v.src[i].sink, v.src[i].vcpu,
		       v.src[i].vector);
	puts("]}");
	while (fgets(line, sizeof(line), stdin)) {
		ret = obey(line, &answer);
		if (ret)
			printf("error %s\n", strerror(-ret));
		else
			printf("%llu\n", answer);
	}
	intvm_stop(&v);
	return 0;
}
