/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The smallest VMM that can hammer memory: vCPUs in long mode, identity
 * mapped with 2 MiB pages, no devices, and interrupts only if it is asked for
 * them. Guest memory files lie
 * one after the other from TVM_RAM up, each on a 2 MiB boundary; what the
 * machine itself needs (tables, code, jobs) lies below, in anonymous memory.
 *
 * Guest programs never exit by themselves but for TVM_TOUCH, which halts:
 * an exit of an emulated host costs tens of microseconds.
 */
#ifndef TINYVMM_H
#define TINYVMM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#define TVM_VCPUS	8
#define TVM_SLOTS	8
#define TVM_RAM		(16ULL << 20)
#define TVM_TOP		(4ULL << 30)
#define TVM_STEPS	512

/* One step of an ordered writer; see TVM_ORDERED. */
struct tvm_step {
	uint64_t cell;		/* address of { value, seen } */
	uint64_t peer;		/* address of another writer's value */
};

enum tvm_program {
	/*
	 * For n = 1, 2, ...: for each step in order: seen = *peer, value = n.
	 * For ever.
	 */
	TVM_ORDERED,
	/* Write one word each @stride bytes over [from, to), then halt. */
	TVM_TOUCH,
	/* Read one word each @stride bytes over [from, to), then halt. */
	TVM_READ,
	/* With interrupts on: spin, or halt until one comes, for ever. */
	TVM_SPIN,
	TVM_HALT,
	/* Likewise; make a hypercall, wait, for ever. */
	TVM_CALL,
};

struct tvm;

struct tvm_vcpu {
	struct tvm *vm;
	int index;
	int fd;
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	int tid;
	uint64_t cpus;		/* where its thread may run; 0: as who starts it */
	bool started;
	bool halted;
	int error;		/* errno of KVM_RUN, or the exit reason + 1000 */
	uint64_t entries;	/* returns of KVM_RUN */
};

struct tvm {
	int kvm;
	int fd;
	int nr_slots;
	uint64_t next_gpa;
	bool interrupts;
	unsigned char *low;	/* guest 0..TVM_RAM */
	int nr_vcpus;
	struct tvm_vcpu vcpu[TVM_VCPUS];
	bool stop;
};

/* NULL if vCPUs run here, else why not. */
const char *tvm_missing(void);
/* -errno on failure; @vm can be destroyed whatever happened. */
int tvm_create(struct tvm *vm, int nr_vcpus);
/* The same with KVM's local APICs, APIC IDs 0 to @nr_vcpus - 1. */
int tvm_create_interruptible(struct tvm *vm, int nr_vcpus);
/* How many interrupts vCPU @i took by @vector; 32 to 255. */
uint64_t tvm_taken(const struct tvm *vm, int i, int vector);
/* When it took the last of these: the host's time-stamp counter. */
uint64_t tvm_stamp(const struct tvm *vm, int i, int vector);
/* Give the guest @size bytes at @hva; its address goes to @gpa. */
int tvm_add_memory(struct tvm *vm, void *hva, size_t size, uint64_t *gpa);
/* The same, but the guest may only read. */
int tvm_add_rom(struct tvm *vm, void *hva, size_t size, uint64_t *gpa);
/* What vCPU @i will run. */
int tvm_load_ordered(struct tvm *vm, int i, const struct tvm_step *steps,
		     int nr_steps);
int tvm_load_touch(struct tvm *vm, int i, enum tvm_program program,
		   uint64_t from, uint64_t to, uint64_t stride);
int tvm_load_idle(struct tvm *vm, int i, enum tvm_program program);
/*
 * Hypercall @nr with the argument at @mailbox, a guest address; the word after it
 * counts the calls. @wait: turns of an empty loop in between.
 */
int tvm_load_call(struct tvm *vm, int i, uint32_t nr, uint64_t mailbox, uint64_t wait);
/* Run vCPU @i in a thread of its own until tvm_stop(). */
int tvm_start(struct tvm *vm, int i);
/* Run vCPU @i in this thread until it halts. */
int tvm_run(struct tvm *vm, int i);
/* Stop all vCPU threads; 0, or the first error any of them met. */
int tvm_stop(struct tvm *vm);
void tvm_destroy(struct tvm *vm);

#endif
