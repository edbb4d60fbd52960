// SPDX-License-Identifier: GPL-2.0
/*
 * Numbered packets, to see what a network loses and for how long it is silent.
 *
 *	stream send ADDRESS PORT HZ	send to there, for ever
 *	stream log PORT FILE [echo]	note what arrives, and send it back
 *	stream gap FILE			what "log" has noted, in a line: packets,
 *					lost, twice, out of order, longest gap (us)
 *
 * The sender sends a packet, waits a period, and sends the next: what was not sent
 * while it stood still is not made up for. A packet that the network has no room for
 * has its number all the same. Each says how many have come back to the sender, so that
 * who logs sees both ways by its own clock: the sender's may stand still with it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAGIC	0x6b65656c73747231ULL

struct packet {
	uint64_t magic;
	uint64_t seq;
	uint64_t back;		/* so many came back to the sender */
	uint64_t sent_ns;	/* by the sender's clock */
};

/* As in the file; pairlib.py knows it. */
struct record {
	uint64_t ns;
	uint64_t seq;
	uint64_t back;
	uint64_t sent_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int usage(void)
{
	fputs("stream send ADDRESS PORT HZ | log PORT FILE [echo] | gap FILE\n", stderr);
	return 2;
}

/* What came back since the last time. */
static uint64_t drain(int fd)
{
	struct packet p;
	uint64_t nr = 0;

	while (recv(fd, &p, sizeof(p), MSG_DONTWAIT) == sizeof(p))
		nr += p.magic == MAGIC;
	return nr;
}

static int send_all(const char *address, const char *port, long hz)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	struct timespec period = { .tv_nsec = 1000000000 / hz };
	struct packet p = { .magic = MAGIC };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return usage();
	for (;; p.seq++) {
		p.back += drain(fd);
		p.sent_ns = now_ns();
		/* If it fails it is lost, as in the network. */
		sendto(fd, &p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&to,
		       sizeof(to));
		clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL);
	}
}

static int log_all(const char *port, const char *path, int echo)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	struct sockaddr_in from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	FILE *file = fopen(path, "w");
	struct packet p;
	struct record r;

	if (fd < 0 || !file || bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		perror(path);
		return 1;
	}
	setvbuf(file, NULL, _IONBF, 0);
	for (;;) {
		socklen_t len = sizeof(from);

		if (recvfrom(fd, &p, sizeof(p), 0, (struct sockaddr *)&from,
			     &len) != sizeof(p) || p.magic != MAGIC)
			continue;
		r = (struct record){ now_ns(), p.seq, p.back, p.sent_ns };
		if (echo)
			sendto(fd, &p, sizeof(p), MSG_DONTWAIT,
			       (struct sockaddr *)&from, len);
		fwrite(&r, sizeof(r), 1, file);
	}
}

static int gap(const char *path)
{
	uint64_t nr = 0, first = 0, highest = 0, twice = 0, late = 0, longest = 0, last = 0;
	FILE *file = fopen(path, "r");
	static uint8_t seen[1 << 24];
	struct record r;

	if (!file) {
		perror(path);
		return 1;
	}
	while (fread(&r, sizeof(r), 1, file) == 1) {
		if (!nr++)
			first = highest = r.seq;
		else if (r.ns - last > longest)
			longest = r.ns - last;
		last = r.ns;
		if (r.seq < sizeof(seen))
			twice += seen[r.seq]++ > 0;
		late += r.seq < highest;
		if (r.seq > highest)
			highest = r.seq;
	}
	fclose(file);
	printf("%lu %lu %lu %lu %lu\n", nr,
	       nr ? highest - first + 1 - (nr - twice) : 0, twice, late, longest / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "send") && atol(argv[4]) > 0)
		return send_all(argv[2], argv[3], atol(argv[4]));
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "log"))
		return log_all(argv[2], argv[3], argc == 5);
	if (argc == 3 && !strcmp(argv[1], "gap"))
		return gap(argv[2]);
	return usage();
}
