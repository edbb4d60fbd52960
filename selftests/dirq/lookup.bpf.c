// SPDX-License-Identifier: GPL-2.0
/* Asks keel where a target is; run by a system call (selftests/dirq/bpf). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern __u64 keel_irq_lookup(__u32 vm, __u32 target) __ksym;

struct question {
	__u32 vm;
	__u32 target;
	__u64 where;
};

SEC("syscall")
int lookup(struct question *q)
{
	q->where = keel_irq_lookup(q->vm, q->target);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
