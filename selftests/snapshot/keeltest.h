/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What keel's tests share: a snapshot session over /dev/keel that keeps its
 * images in memory, mounts of keelfs, a bare generic netlink client, clocks.
 *
 * Nothing here prints TAP or exits: functions return 0 or a positive count,
 * or -errno. The drain checks what uapi/linux/keel.h promises about records
 * (each page at most once, slots inside the pool, offsets inside the file)
 * and returns -EBADMSG with a sentence in ksnap.why if it is broken.
 */
#ifndef KEELTEST_H
#define KEELTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/keel.h>

#define PG		((size_t)KEEL_PAGE_SIZE)
#define PMD_PAGE	((size_t)2 << 20)
#define KT_FILES	8

#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* One snapshot, as the drainer sees it. */
struct ksnap {
	int fd;
	uint32_t id;
	unsigned char *pool;
	size_t pool_bytes;
	int nr_files;
	uint64_t bytes[KT_FILES];	/* at the instant, from ARM */
	unsigned char *image[KT_FILES];	/* room for .room[i] bytes each */
	unsigned char *seen[KT_FILES];	/* a byte a page */
	size_t room[KT_FILES];
	uint64_t records;
	uint32_t *release;
	uint32_t nr_release;
	struct keel_snap_rec *recs;
	uint32_t max_recs;
	char why[160];
};

/* Open and CREATE; bytes of pool as asked in @c (0: keel's default). */
int ksnap_open(struct ksnap *s, struct keel_snap_create *c);
int ksnap_open_default(struct ksnap *s, uint64_t pool_bytes);
/* ADD_FILE; @room bytes of image buffer, reused through ksnap_take_images. */
int ksnap_add(struct ksnap *s, int fd, size_t room);
int ksnap_prepare(struct ksnap *s);
/* ARM with @pinned_max as created; @arm may be NULL. */
int ksnap_arm(struct ksnap *s, struct keel_snap_arm *arm);
/*
 * One FETCH of at most @max records, copied to the images; their slots are
 * given back by the next. Returns records taken, 0 when nothing came, and
 * stores the state in @state.
 */
int ksnap_fetch(struct ksnap *s, uint32_t max, uint32_t *state);
/* FETCH until complete, @max records each, @pause_us between. */
int ksnap_drain(struct ksnap *s, uint32_t max, unsigned int pause_us);
int ksnap_stat(struct ksnap *s, struct keel_snap_stat *st);
int ksnap_abort(struct ksnap *s);
/* Close the session; images stay until ksnap_free. */
void ksnap_close(struct ksnap *s);
/* Move the image buffers of @from (closed) to @to (new), zeroed. */
void ksnap_reuse(struct ksnap *to, struct ksnap *from);
void ksnap_free(struct ksnap *s);

/* ioctl that returns -errno */
int kioctl(int fd, unsigned long cmd, void *arg);

/*
 * Where guest memory files go. kt_mount() mounts keelfs with @opts on a fresh
 * directory and returns its path, or NULL with errno.
 */
const char *kt_mount(const char *opts);
void kt_umount(const char *dir);
/* NULL if keel can be used here, else the reason why not. */
const char *kt_keel_missing(void);
/* A file of @size bytes in @dir, open for reading and writing. */
int kt_file(const char *dir, const char *name, size_t size);
/* Map @size bytes of @fd, shared, 2 MiB aligned. NULL: see errno. */
void *kt_map(int fd, size_t size);

uint64_t now_ns(void);
void nap_us(unsigned int us);
uint64_t rnd64(uint64_t *state);

int kt_read_file(const char *path, char *buf, size_t len);
int kt_write_file(const char *path, const char *text);
/* A number from a file, or -1. */
long long kt_read_number(const char *path);
int kt_nr_nodes(void);
/* Load keel, unload it: -EAGAIN or -EBUSY while it is in use. */
int kt_load(void);
int kt_unload(void);
/* The same, but for @ms that may pass. */
int kt_unload_within(unsigned int ms);
/* Let this thread run before the writers, of which there are many a CPU. */
void kt_go_first(void);

/* Bare generic netlink. */
struct knl {
	int fd;
	uint32_t pid;
	uint32_t seq;
	uint16_t family;
	uint32_t group;		/* of "events" */
	char extack[256];	/* of the last error, "" if none came */
	unsigned char rx[65536];
	int rx_len;
};

struct knl_host {
	char version[64];
	uint32_t vms, snapshots, mounts;
	uint64_t keelfs_pages, pool_pages;
};

struct knl_vcpu {
	uint32_t index, tid, cpu;
	bool has_cpu;
};

struct knl_region {
	uint32_t slot, backing, dev;
	uint64_t gpa, size, hva, ino, offset;
};

struct knl_vm {
	uint32_t id, pid, nr_vcpus, snapshot;
	char comm[32];
	uint64_t memory, memory_keelfs;
	int vcpus, regions;
	struct knl_vcpu vcpu[16];
	struct knl_region region[16];
};

struct knl_snapshot {
	uint32_t id, vm, pid, state, reason, files;
	uint64_t pages, fault_pages, swept_pages, pool_pages;
};

/* 0: keel's default */
struct knl_place_options {
	uint32_t period_ms, temper, grain, samples;
};

struct knl_place {
	bool running;
	uint64_t periods, moves, left, sampled;
};

/* What became of an explicit route's interrupts. */
struct knl_irq_counts {
	uint64_t total, direct, near, far, halted, preempted, paused, home;
};

struct nlattr;

int knl_open(struct knl *nl);
void knl_close(struct knl *nl);
int knl_join_events(struct knl *nl);
/* Start a message in @buf; returns its length so far. */
size_t knl_begin(struct knl *nl, void *buf, uint8_t cmd, uint16_t flags);
size_t knl_put(void *buf, size_t at, uint16_t type, const void *data,
	       uint16_t len);
size_t knl_put_u32(void *buf, size_t at, uint16_t type, uint32_t value);
/* Send @len bytes and wait for the ACK or error; replies stay in rx. */
int knl_talk(struct knl *nl, void *buf, size_t len);
/*
 * The second half of it: collect the answer to message @seq. Returns 0 or the
 * error it ends with.
 */
int knl_collect(struct knl *nl, uint32_t seq, bool dump);
int knl_host_get(struct knl *nl, struct knl_host *host);
int knl_vm_get(struct knl *nl, uint32_t id, struct knl_vm *vm);
/* The VM of @pid; -ENOENT if there is none. */
int knl_vm_of_pid(struct knl *nl, uint32_t pid, struct knl_vm *vm);
/* Dump all; returns how many, stores at most @max. */
int knl_vm_dump(struct knl *nl, struct knl_vm *vms, int max);
int knl_snapshot_get(struct knl *nl, uint32_t id, struct knl_snapshot *snap);
int knl_snapshot_abort(struct knl *nl, uint32_t id);
int knl_place_get(struct knl *nl, struct knl_place *place);
int knl_place_start(struct knl *nl, const struct knl_place_options *o);
int knl_place_stop(struct knl *nl);
/* Wait until so many periods are through; -ETIMEDOUT if they do not come. */
int knl_place_wait(struct knl *nl, uint64_t periods);
int knl_place_mode(struct knl *nl, uint32_t vm, uint32_t mode);
/* enum keel_irq_mode: off returns when nothing of it is left. */
int knl_irq_set(struct knl *nl, uint32_t mode);
int knl_irq_fallback(struct knl *nl, uint32_t fallback);
/* @vcpu may be -1. Returns the route's id. */
int knl_irq_route_add(struct knl *nl, uint32_t vm, int vcpu, int source, int sink);
int knl_irq_route_del(struct knl *nl, uint32_t id);
/* The target's vCPU, -1 if it has none, or -ENOENT: there is no such route. */
int knl_irq_route_vcpu(struct knl *nl, uint32_t id);
/* -ENOENT if there is no such route. */
int knl_irq_route_counts(struct knl *nl, uint32_t id, struct knl_irq_counts *c);
/*
 * Next event within @ms: returns its command and fills @vm or @snap.
 * -EAGAIN if none came.
 */
int knl_event(struct knl *nl, int ms, struct knl_vm *vm,
	      struct knl_snapshot *snap);

#endif
