/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libkeel: what keel knows and does, without netlink or ioctls in sight.
 *
 * Functions return 0 (or a count) on success and a negative errno on failure;
 * keel_error() then has a sentence, the kernel's own where it gave one.
 */
#ifndef LIBKEEL_H
#define LIBKEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/keel.h>

#define KEEL_COMM_LEN	32

struct keel_host {
	char version[64];
	uint32_t vms;
	uint32_t snapshots;
	uint32_t keelfs_mounts;
	uint64_t keelfs_pages;
	uint64_t pool_pages;
};

struct keel_vcpu {
	uint32_t index;
	uint32_t tid;		/* 0: no thread ran it yet */
	int32_t cpu;		/* -1: no thread */
};

struct keel_region {
	uint32_t slot;
	uint64_t gpa;
	uint64_t size;
	uint64_t hva;
	enum keel_backing backing;
	bool readonly;
	uint64_t ino;		/* 0: no file */
	dev_t dev;
	uint64_t offset;
};

struct keel_vm {
	uint32_t id;
	uint32_t pid;
	char comm[KEEL_COMM_LEN];
	uint64_t memory;
	uint64_t memory_keelfs;
	uint32_t snapshot;	/* 0: none */
	uint32_t nr_vcpus;	/* what the kernel counts */
	uint32_t nr_vcpu;	/* elements of @vcpu */
	uint32_t nr_region;
	struct keel_vcpu *vcpu;
	struct keel_region *region;
};

struct keel_snapshot {
	uint32_t id;
	uint32_t vm;
	uint32_t pid;
	enum keel_snap_state state;
	enum keel_snap_reason reason;
	uint32_t files;
	uint64_t pages;
	uint64_t fault_pages;
	uint64_t swept_pages;
	uint64_t eager_pages;
	uint64_t zero_pages;
	uint64_t pool_pages;
	uint64_t pool_low;
	uint64_t throttled;
	uint64_t throttled_ns;
	uint64_t spilled_pages;
	uint64_t arm_ns;
};

enum keel_event_type {
	KEEL_EVENT_VM_NEW,
	KEEL_EVENT_VM_DEL,
	KEEL_EVENT_SNAPSHOT,
};

struct keel_event {
	enum keel_event_type type;
	struct keel_vm vm;		/* the two VM events */
	struct keel_snapshot snapshot;	/* KEEL_EVENT_SNAPSHOT */
};

struct keel;

/* nl.c: one connection to the netlink family */
int keel_open(struct keel **keel);
void keel_close(struct keel *keel);
const char *keel_error(const struct keel *keel);

int keel_host_get(struct keel *keel, struct keel_host *host);
int keel_vm_get(struct keel *keel, uint32_t id, struct keel_vm *vm);
int keel_vm_list(struct keel *keel, struct keel_vm **vms);
void keel_vm_release(struct keel_vm *vm);
void keel_vm_list_free(struct keel_vm *vms, int nr);
int keel_snapshot_get(struct keel *keel, uint32_t id,
		      struct keel_snapshot *snapshot);
int keel_snapshot_list(struct keel *keel, struct keel_snapshot **snapshots);
int keel_snapshot_abort(struct keel *keel, uint32_t id);

int keel_events_subscribe(struct keel *keel);
int keel_events_next(struct keel *keel, struct keel_event *event);

/* names.c */
const char *keel_backing_name(enum keel_backing backing);
const char *keel_snap_state_name(enum keel_snap_state state);
const char *keel_snap_reason_name(enum keel_snap_reason reason);
const char *keel_snap_reason_text(enum keel_snap_reason reason);

/* snap.c: one snapshot on /dev/keel; @fd is the open descriptor */
int keel_snap_open(void);
int keel_snap_create(int fd, struct keel_snap_create *create);
int keel_snap_add_file(int fd, int file, uint64_t *bytes);
int keel_snap_prepare(int fd);
int keel_snap_arm(int fd, struct keel_snap_arm *arm, uint64_t *bytes,
		  uint32_t nr_bytes);
int keel_snap_fetch(int fd, struct keel_snap_fetch *fetch);
int keel_snap_stat(int fd, struct keel_snap_stat *stat);
int keel_snap_abort(int fd, enum keel_snap_reason reason);

#endif
