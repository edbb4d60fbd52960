/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * keel: interrupt tables. Which logical CPU each vCPU of a VM is on.
 *
 * Each open of /dev/keel-irq shows one VM, which KEEL_IRQ_SELECT chooses; mmap() of
 * the descriptor, read-only and shared, at offset 0 then shows its table. It starts
 * with a struct keel_irq_header, which says where the other two parts are:
 *
 *	targets		nr_targets_max structs keel_irq_entry, one each
 *			target_stride bytes: a vCPU each, in the order in which the
 *			VMM made them. Those from nr_targets on are not used yet,
 *			and a page with none that is used may give SIGBUS.
 *	cpus		nr_cpus words of 32 bits: the APIC ID of each logical CPU
 *			of the host, by its Linux number; KEEL_IRQ_NO_APIC if it
 *			has none
 *
 * Three kinds of number never mean each other: what KVM calls vcpu_id, the APIC ID
 * that a guest knows a vCPU by, and the host's CPUs, which have a Linux number and
 * an APIC ID of their own.
 *
 * Where a target is stands in one 64-bit word, which its thread alone writes, in one
 * piece: read it once, with the target's page mapped, and take it apart. The thread
 * writes "running" when it has the CPU and before it enters the guest, and something
 * else before it leaves the CPU, so a word never says that a target runs on a CPU
 * that it has left. The sequence number in it counts the writes, and goes round.
 *
 * The table of a VM that is gone says so in the header, and stays as it was.
 *
 * Errors:
 *	EPERM		CAP_SYS_ADMIN is needed
 *	ENOENT		there is no such VM, or no table of it (keel irq steer watch)
 *	EBUSY		this descriptor shows a VM already
 *	ENODATA		mmap() before KEEL_IRQ_SELECT
 *	EACCES		mmap() for writing
 */
#ifndef _UAPI_LINUX_KEEL_IRQ_H
#define _UAPI_LINUX_KEEL_IRQ_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/keel_netlink.h>

#define KEEL_IRQ_DEVICE		"/dev/keel-irq"
#define KEEL_IRQ_MAGIC		0x6b696c6571727431ULL
#define KEEL_IRQ_VERSION	1
#define KEEL_IRQ_NO_APIC	0xffffffff

/* Of keel_irq_header.flags */
#define KEEL_IRQ_GONE		1	/* nobody writes it any more */

/* The word: its fields from the lowest bit on. */
#define KEEL_IRQ_CPU_BITS	16	/* Linux number of the CPU */
#define KEEL_IRQ_NODE_BITS	12	/* of that CPU */
#define KEEL_IRQ_STATE_BITS	4	/* enum keel_irq_state */
#define KEEL_IRQ_SEQ_BITS	32

#define KEEL_IRQ_CPU(word)	((__u32)((word) & 0xffff))
#define KEEL_IRQ_NODE(word)	((__u32)((word) >> 16 & 0xfff))
#define KEEL_IRQ_STATE(word)	((__u32)((word) >> 28 & 0xf))
#define KEEL_IRQ_SEQ(word)	((__u32)((word) >> 32))

/**
 * struct keel_irq_header - the start of a table
 * @magic: KEEL_IRQ_MAGIC
 * @version: KEEL_IRQ_VERSION; a reader that knows another does not go on
 * @flags: KEEL_IRQ_GONE
 * @vm: the VM's number (keel vm list)
 * @nr_targets: only grows
 * @nr_targets_max: there is room for
 * @nr_cpus: there is room for
 * @target_stride: bytes from one target to the next
 * @targets: byte where they start
 * @cpus: byte where they start
 * @bytes: of all of it
 */
struct keel_irq_header {
	__u64 magic;
	__u32 version;
	__u32 flags;
	__u32 vm;
	__u32 nr_targets;
	__u32 nr_targets_max;
	__u32 nr_cpus;
	__u32 target_stride;
	__u32 reserved;
	__u64 targets;
	__u64 cpus;
	__u64 bytes;
};

/**
 * struct keel_irq_entry - a target, which is a vCPU
 * @where: the word
 * @vcpu_id: KVM's number of it
 * @apic_id: the APIC ID that it has in the guest
 * @tid: its thread, by the host's numbers; 0: none
 * @moves: times it came to another CPU
 *
 * A cache line each, which its thread alone writes once it is there.
 */
struct keel_irq_entry {
	__u64 where;
	__u32 vcpu_id;
	__u32 apic_id;
	__u32 tid;
	__u32 reserved;
	__u64 moves;
	__u64 spare[4];
};

/**
 * struct keel_irq_select - KEEL_IRQ_SELECT
 * @size: sizeof(struct keel_irq_select)
 * @vm: the VM
 * @bytes: (out) of its table, to be mapped
 */
struct keel_irq_select {
	__u32 size;
	__u32 vm;
	__u64 bytes;
};

#define KEEL_IRQ_SELECT		_IOWR('K', 0x20, struct keel_irq_select)

#endif /* _UAPI_LINUX_KEEL_IRQ_H */
