// SPDX-License-Identifier: GPL-2.0
/* Numbers, times, options, /proc. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keel.h"
#include "out.h"

volatile int stop_signal;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* RFC 3339, UTC, with nanoseconds. */
char *time_text(uint64_t ns, char *buf, size_t len)
{
	time_t sec = ns / NS_PER_SEC;
	struct tm tm;
	char date[32];

	gmtime_r(&sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, len, "%s.%09lluZ", date,
		 (unsigned long long)(ns % NS_PER_SEC));
	return buf;
}

char *size_text(uint64_t bytes, char *buf, size_t len)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double n = bytes;
	size_t u = 0;

	for (; n >= 1024 && u + 1 < NR(units); u++)
		n /= 1024;
	snprintf(buf, len, u && n < 100 ? "%.1f %s" : "%.0f %s", n, units[u]);
	return buf;
}

/* A number with K, M, G or T behind it, powers of 1024. */
int parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	int shift = 0;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return -1;
	if (*end && *end != 'B') {
		unit = strchr(units, *end & ~0x20);
		if (!unit)
			return -1;
		shift = 10 * (unit - units + 1);
		end++;
		if (!strcmp(end, "iB"))
			end += 2;
	}
	if (*end == 'B')
		end++;
	if (*end || n > UINT64_MAX >> shift)
		return -1;
	*bytes = n << shift;
	return 0;
}

int parse_u32(const char *text, uint32_t *n)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value > UINT32_MAX)
		return -1;
	*n = value;
	return 0;
}

/* A number that is an option's; 0, or -1 after bad(). */
int parse_number(const char *option, const char *text, uint32_t *n)
{
	return parse_u32(text, n) ?
	       bad("%s: '%s' is not a number", option, text) : 0;
}

/* An option's value that is a number above 0, or bad(). */
int parse_positive(const char *option, const char *text, uint32_t *n)
{
	return !parse_u32(text, n) && *n ? 0 :
	       bad("%s: '%s' is not a number above 0", option, text);
}

/* The last request failed with @err: tell why, and whether it was what was asked for. */
int request_error(struct keel *keel, int err)
{
	return err == -ENOENT || err == -EPROTO || err == -EINVAL ?
	       bad("%s", keel_error(keel)) : fail("%s", keel_error(keel));
}

/* A word that is one of those that @name has for 0 to @nr - 1, or bad(). */
int parse_word(const char *option, const char *text, uint32_t nr,
	       const char *(*name)(uint32_t), uint32_t *value)
{
	char known[128] = "";
	size_t n = 0;

	for (*value = 0; *value < nr; ++*value) {
		if (!strcmp(text, name(*value)))
			return 0;
		n += snprintf(known + n, sizeof(known) - n, "%s%s",
			      n ? ", " : "", name(*value));
	}
	return bad("%s: '%s' is not one of: %s", option, text, known);
}

/*
 * The next long option's value from @table, -1 at their end, '?' after bad().
 * Words may stand before and between options; what follows "--" is left alone.
 */
int next_option(int argc, char **argv, const struct option *table)
{
	char brief[32] = ":j";
	int c, index = 0;
	size_t n = 2;

	for (const struct option *o = table; o->name && n < 28; o++)
		if (o->val > ' ' && o->val < 128)
			n += sprintf(brief + n, "%c%s", o->val,
				     o->has_arg ? ":" : "");
	opterr = 0;
	for (;;) {
		int at = optind ? optind : 1;

		c = getopt_long(argc, argv, brief, table, &index);
		if (c == 'j') {
			out_json = true;
			continue;
		}
		if (c == ':') {
			bad("option '%s' needs a value", argv[optind - 1]);
			return '?';
		}
		if (c == '?') {
			bad("%s: no such option '%s'; 'help' in its place lists them",
			    argv[0], argv[optind > at ? optind - 1 : at]);
			return '?';
		}
		return c;
	}
}

/* After the options: is nothing left? Or bad(). */
int no_words(int argc, char **argv, const char *verb)
{
	return optind == argc ? 0 :
	       bad("%s: takes no word, not '%s'", verb, argv[optind]);
}

/* Neither options nor words, or bad(). */
int nothing_more(int argc, char **argv, const char *verb)
{
	static const struct option options[] = { { 0 } };

	return next_option(argc, argv, options) != -1 ? -1 :
	       no_words(argc, argv, verb);
}

/* The whole file, NUL-terminated; NULL with errno on failure. */
char *read_text(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 4096, have = 0;
	char *buf, *bigger;
	ssize_t n = 0;

	if (fd < 0)
		return NULL;
	buf = malloc(size);
	while (buf && (n = read(fd, buf + have, size - have - 1)) > 0) {
		have += n;
		if (size - have > 1)
			continue;
		bigger = realloc(buf, size *= 2);
		if (!bigger)
			free(buf);
		buf = bigger;
	}
	if (buf && n < 0) {
		free(buf);
		buf = NULL;
	}
	close(fd);
	if (buf)
		buf[have] = 0;
	if (len)
		*len = have;
	return buf;
}

uint64_t mem_available(void)
{
	char *text = read_text("/proc/meminfo", NULL);
	char *line = text ? strstr(text, "\nMemAvailable:") : NULL;
	unsigned long long kib = 0;

	if (line)
		sscanf(line, "\nMemAvailable: %llu", &kib);
	free(text);
	return kib << 10;
}

/* A process's arguments, NULL-terminated, or NULL. */
char **read_cmdline(uint32_t pid, int *argc)
{
	char path[64], *text;
	char **v = NULL;
	size_t len;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	text = read_text(path, &len);
	if (!text)
		return NULL;
	for (char *p = text; p < text + len; p += strlen(p) + 1)
		n++;
	v = calloc(n + 1, sizeof(*v));
	n = 0;
	for (char *p = text; v && p < text + len; p += strlen(p) + 1)
		v[n++] = strdup(p);
	free(text);
	if (argc)
		*argc = n;
	return v;
}

/* QEMU's -name, as "X" or "guest=X,...", of a process; to be freed. */
char *vm_name(uint32_t pid)
{
	char **argv = read_cmdline(pid, NULL);
	char *name = NULL;

	for (char **a = argv; a && *a && a[1]; a++) {
		const char *v = a[1];

		if (strcmp(*a, "-name") && strcmp(*a, "--name"))
			continue;
		if (strstr(v, "guest="))
			v = strstr(v, "guest=") + strlen("guest=");
		name = strndup(v, strcspn(v, ","));
		break;
	}
	strv_free(argv);
	return name;
}

void strv_free(char **v)
{
	for (char **p = v; p && *p; p++)
		free(*p);
	free(v);
}

/* A path made by printf; never NULL. */
char *mkpath(const char *fmt, ...)
{
	char *path;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&path, fmt, ap) < 0)
		abort();
	va_end(ap);
	return path;
}

int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

static void on_signal(int sig)
{
	stop_signal = sig;
}

/* Without SA_RESTART: what waits must notice. */
void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}
