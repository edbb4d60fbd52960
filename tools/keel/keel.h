/* SPDX-License-Identifier: GPL-2.0 */
/*
 * keel's commands: tables of verbs, the error that ends one, small helpers.
 *
 * A function that fails stores one sentence with fail() (exit status 1) or
 * bad() (2: the user asked for something that cannot be) and returns -1; the
 * first sentence stands, for what follows it is unwinding. main() prints it.
 */
#ifndef KEEL_H
#define KEEL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libkeel.h"

#define KEEL_VERSION	"0.1"
#define NR(a)		(sizeof(a) / sizeof((a)[0]))
#define NS_PER_SEC	1000000000ULL
#define NS_PER_MS	1000000ULL

struct cmd {
	const char *name;
	int (*run)(int argc, char **argv);	/* argv[0] is the verb */
	const char *help;
	bool object;				/* has verbs of its own */
};

/* main.c */
int cmd_select(const struct cmd *table, const char *object, int argc,
	       char **argv);

/* error.c */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int bad(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void error_add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *error_text(void);
void error_forget(void);
int error_status(void);

/* util.c */
uint64_t now_ns(void);			/* CLOCK_MONOTONIC */
uint64_t real_ns(void);			/* CLOCK_REALTIME */
char *time_text(uint64_t ns, char *buf, size_t len);
char *size_text(uint64_t bytes, char *buf, size_t len);
int parse_size(const char *text, uint64_t *bytes);
int parse_u32(const char *text, uint32_t *n);
int parse_number(const char *option, const char *text, uint32_t *n);
int parse_positive(const char *option, const char *text, uint32_t *n);
int parse_word(const char *option, const char *text, uint32_t nr,
	       const char *(*name)(uint32_t), uint32_t *value);
int request_error(struct keel *keel, int err);
int next_option(int argc, char **argv, const struct option *table);
int no_words(int argc, char **argv, const char *verb);
int nothing_more(int argc, char **argv, const char *verb);
char *read_text(const char *path, size_t *len);
uint64_t mem_available(void);		/* bytes; 0 if nobody says */
char **read_cmdline(uint32_t pid, int *argc);
char *vm_name(uint32_t pid);
void strv_free(char **v);
char *mkpath(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int write_all(int fd, const void *buf, size_t len);
extern volatile int stop_signal;	/* the signal that asked us to end */
void catch_signals(void);

/* host.c, doctor.c, vm.c, snapshot.c, place.c, pool.c, irq.c, monitor.c */
int keel_connect(struct keel **keel);
int cmd_host(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_vm(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_place(int argc, char **argv);
int cmd_pool(int argc, char **argv);
int cmd_irq(int argc, char **argv);
int cmd_monitor(int argc, char **argv);

/* vm.c: @name is an id, a QEMU -name, or a pid; keel_vm_release() it */
int vm_find(struct keel *keel, const char *name, struct keel_vm *vm);

/* host.c: the mount points of keelfs, NULL-terminated */
char **keelfs_mounts(void);

#endif
