/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * keel: what a guest that is a hypervisor offers to its host, about its own guests.
 *
 * A guest (L1) with guests of its own (L2) that have devices of the host's knows where
 * in it an L2's vCPU runs, and the host knows where the L1's vCPUs run; together that
 * is the CPU of the host. So the L1's keel puts down in its memory which of its
 * interrupts are for whom, and tells the host where by a hypercall of KVM's
 *
 *	number		KEEL_OFFER_HYPERCALL
 *	argument 1	guest-physical address of the header, or 0: there is none any more
 *
 * whatever KVM answers: a host with keel hears of it, another one says -KVM_ENOSYS. It is
 * told again when something has changed, and otherwise four times a second; after two
 * seconds without it is forgotten. So a guest that is migrated, reset or dies needs
 * nothing else.
 *
 * It lies in whole pages, one after the other: the header at the start of the first,
 * and where it says
 *
 *	cpus		nr_cpus words of 32 bits: the APIC ID of each of the L1's CPUs,
 *			by its number there
 *	slots		nr_slots structs keel_offer_slot
 *
 * The writer makes seq odd, writes, and makes it even. The host reads what is even and
 * the same before and after. It believes nothing: what does not fit is not taken, and
 * the worst that an offer can do is to send the L1's own devices' interrupts to where
 * others of its own vCPUs run.
 */
#ifndef _UAPI_LINUX_KEEL_IRQ_OFFER_H
#define _UAPI_LINUX_KEEL_IRQ_OFFER_H

#include <linux/types.h>

#define KEEL_OFFER_HYPERCALL	0x6b65656cU
#define KEEL_OFFER_MAGIC	0x6b65656c6f666672ULL
#define KEEL_OFFER_VERSION	1

/* More of either is not taken. */
#define KEEL_OFFER_CPUS_MAX	4096
#define KEEL_OFFER_SLOTS_MAX	256

/**
 * struct keel_offer_header - the start of it
 * @magic: KEEL_OFFER_MAGIC
 * @version: KEEL_OFFER_VERSION
 * @seq: odd while it is written
 * @self: its guest-physical address
 * @cpus: byte where they start; a multiple of 4
 * @nr_cpus: up to KEEL_OFFER_CPUS_MAX
 * @slots: byte where they start; a multiple of 8
 * @nr_slots: up to KEEL_OFFER_SLOTS_MAX
 * @heard: written by the host: how often it has taken it
 */
struct keel_offer_header {
	__u64 magic;
	__u32 version;
	__u32 seq;
	__u64 self;
	__u32 cpus;
	__u32 nr_cpus;
	__u32 slots;
	__u32 nr_slots;
	__u32 heard;
	__u32 reserved;
};

/**
 * struct keel_offer_slot - an interrupt of the L1's that is for an L2
 * @where: guest-physical address of its target's word (keel_irq.h); a multiple of 8.
 *	The CPU in it is one of the L1's
 * @apic_id: of the L1's CPU that the interrupt is programmed to come to
 * @vector: by which it comes there
 */
struct keel_offer_slot {
	__u64 where;
	__u32 apic_id;
	__u32 vector;
};

#endif /* _UAPI_LINUX_KEEL_IRQ_OFFER_H */
