// SPDX-License-Identifier: GPL-2.0
/*
 * A tiny VM with eventfds, for tests that are no C: two vCPUs, of which the first
 * spins and the other halts, and four sources. It says what it is in a line of JSON,
 * and then does what it is told in lines, each of which it answers with one:
 *
 *	send I N		N interrupts by source I, one after the other
 *	signal I		signal source I, and wait for nothing
 *	routed I		from now on "send I" signals the source, not the sink
 *	close I			nobody has source I open any more
 *	program I VCPU VECTOR	the guest wants source I there
 *	taken VCPU VECTOR	how many that vCPU took
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
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

static int obey(const char *line, unsigned long long *answer)
{
	int a, b, c;

	*answer = 0;
	if (sscanf(line, "send %d %d", &a, &b) == 2)
		return send_some(a, b);
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

int main(void)
{
	unsigned long long answer;
	char line[64];
	struct knl nl;
	int i, ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = knl_open(&nl) ?: intvm_start(&v, &nl, 2, 1, SOURCES);
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
