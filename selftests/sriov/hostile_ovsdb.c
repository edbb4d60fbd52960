// SPDX-License-Identifier: GPL-2.0
/*
 * keeld and something in OVSDB's place: keeld's own files, with this program at both of
 * their ends, as OVSDB and as the kernel.
 *
 * What is told to the kernel is compared with what the messages say, read once more in
 * another way; and each time somebody honest comes afterwards, who has to be followed
 * exactly, and when all have gone nothing may be left over.
 *
 *	hostile_ovsdb [ROUNDS [SEED]]
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"
#include "keeld.h"
#include "ovsdb_model.h"
#include "spoil.h"

const struct hostile_limits limits = { 512 << 20, 10, 4 };

struct keel_switch_port taps[TAPS];
static int peer = -1;
static struct text heard;

/* The kernel. */

int keel_switch_port_list(struct keel *keel, struct keel_switch_port **ports)
{
	(void)keel;
	*ports = malloc(sizeof(taps));
	if (!*ports)
		abort();
	memcpy(*ports, taps, sizeof(taps));
	return TAPS;
}

int keel_switch_port_set(struct keel *keel, const char *port, uint32_t ifindex, const char *on)
{
	struct keel_switch_port *tap = NULL;

	(void)keel;
	for (int i = 0; i < TAPS; i++)
		if (taps[i].ifindex == ifindex && !strcmp(taps[i].name, port))
			tap = &taps[i];
	if (!tap) {
		wrong("a tap was told of that is not there: %s", port);
		return -ENODEV;
	}
	if (on && !is_bridge(on))
		return -EINVAL;
	snprintf(tap->on, sizeof(tap->on), "%s", on ? on : "");
	return 0;
}

const char *keel_error(const struct keel *keel)
{
	(void)keel;
	return "there is no bridge of that name";
}

/* A connection. */

static void hear_replies(void)
{
	char bytes[4096];
	ssize_t n;

	while (peer >= 0 && (n = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		text_add(&heard, bytes, n);
}

/* keeld has its turn, until it has nothing to do. */
static void turn(bool reads)
{
	struct pollfd p = { .events = POLLIN };

	ovs_reconcile(NULL, true);
	for (p.fd = ovs_fd(); p.fd >= 0 && poll(&p, 1, 0) > 0; p.fd = ovs_fd()) {
		ovs_hear();
		ovs_reconcile(NULL, true);
		if (reads)
			hear_replies();
	}
}

static void leave(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
	turn(false);
	if (ovs_fd() >= 0)
		wrong("it does not see that the connection was closed");
	text_free(&heard);
}

/* keeld connects, and wants what it is to want. */
static void arrive(void)
{
	static const char wants[] = "{\"id\":1,\"method\":\"monitor\",\"params\":[\"Open_vSwitch\",null,{";

	clock_skip(3600000);
	turn(false);
	peer = accept(listener, NULL, NULL);
	if (peer < 0) {
		wrong("it does not connect: %s", strerror(errno));
		return;
	}
	hear_replies();
	if (heard.len < sizeof(wants) || strncmp(heard.at, wants, sizeof(wants) - 1))
		wrong("it does not ask to follow: %.*s", (int)heard.len, heard.at);
	heard.len = 0;
}

/* Send it, and keeld has its turn after each @piece bytes. */
static void tell_pieces(const struct text *t, size_t piece, bool reads)
{
	size_t at = 0, end = 0;
	ssize_t n;

	while (at < t->len && ovs_fd() >= 0) {
		if (at == end)
			end = t->len - at < piece ? t->len : at + piece;
		n = send(peer, t->at + at, end - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			at += n;
		else if (errno != EAGAIN)
			break;
		if (n <= 0 || at == end)
			turn(reads);
	}
	turn(reads);
}

/* Anyhow. */
static void tell(const struct text *t)
{
	static const size_t pieces[] = { 1 << 20, 4096, 500, 64, 7 };
	size_t piece = pieces[below(5)];

	tell_pieces(t, t->len / piece < 1000 ? piece : t->len / 1000, true);
}

static void set_taps(void)
{
	static const char *const on[] = { "", "ovs0", "ovs1", "ovs2", "br7" };

	for (int i = 0; i < TAPS; i++)
		snprintf(taps[i].on, sizeof(taps[i].on), "%s", on[below(5)]);
}

/* Where keeld is to have put the taps that were @were, by somebody honest. */
static void check_world(const struct world *w, const struct keel_switch_port *were)
{
	char on[KEEL_IFNAME_LEN];

	for (int i = 0; i < TAPS; i++) {
		snprintf(on, sizeof(on), w->on[i] < 0 ? "" : "ovs%d", w->on[i]);
		if (w->behind && were[i].on[0])
			strcpy(on, were[i].on);
		if (strcmp(on, taps[i].on))
			wrong("%s is on '%s', not on '%s'", taps[i].name, taps[i].on, on);
	}
}

/* Who tells of some changes. */
void honest(void)
{
	uint32_t changes = below(3);
	struct keel_switch_port were[TAPS];
	struct world w, next;
	struct text t = { 0 };

	arrive();
	set_taps();
	world_make(&w, NULL);
	text_json(&t, world_answer(&w));
	for (uint32_t i = 0;; i++) {
		memcpy(were, taps, sizeof(were));
		tell(&t);
		text_free(&t);
		check_world(&w, were);
		if (i == changes)
			break;
		world_make(&next, &w);
		text_json(&t, world_update(&w, &next));
		w = next;
	}
	memcpy(were, taps, sizeof(were));
	leave();
	if (memcmp(were, taps, sizeof(were)))
		wrong("what was told did not stay");
	text_free(&heard);
}

static void check_reading(const struct reading *r)
{
	if (!r->over && ovs_fd() < 0)
		wrong("it does not follow what is right: %s", log_is_well() ? log_last() : "");
	for (int i = 0; i < TAPS; i++) {
		if (!json_object_get(r->may[i], taps[i].on))
			wrong("%s is on '%s', which nobody said", taps[i].name, taps[i].on);
		if (!r->over && r->is[i] && !json_object_get(r->is[i], taps[i].on))
			wrong("%s is on '%s', where it was", taps[i].name, taps[i].on);
	}
}

static json_t *echo(void)
{
	return json_pack("{s:s,s:s,s:[s,{s:[i]}]}", "id", "e", "method", "echo", "params",
			 "a}\"{", "b", 1);
}

/* A conversation in which something is not as it should be. */

/* Its messages, some of them spoiled in what they say. */
static void make_conversation(struct text *t, bool spoil)
{
	struct world w, next;
	uint32_t nr = below(4);

	world_make(&w, NULL);
	if (!below(4))
		text_json(t, echo());
	for (uint32_t i = 0; i <= nr; i++) {
		json_t *message = i ? world_update(&w, &next) : world_answer(&w);

		if (i)
			w = next;
		for (uint32_t k = spoil && below(2) ? 1 + below(4) : 0; k; k--)
			message = spoil_value(message);
		if (json_is_object(message) || json_is_array(message))
			text_json(t, message);
		else
			json_decref(message);
		world_make(&next, &w);
	}
}

/* It goes away, or falls silent. */
static void end_somehow(void)
{
	struct keel_switch_port were[TAPS];

	memcpy(were, taps, sizeof(were));
	if (below(4) && peer >= 0)
		shutdown(peer, SHUT_WR);
	else if (ovs_fd() >= 0 && below(2))
		clock_skip(20000);
	turn(true);
	leave();
	if (memcmp(were, taps, sizeof(were)))
		wrong("what was told did not stay");
}

static void spoiled(bool values)
{
	struct text t = { 0 };
	struct reading r;

	make_conversation(&t, values);
	for (uint32_t i = values ? 0 : 1 + below(3); i; i--)
		spoil_text(&t);
	arrive();
	set_taps();
	reading_make(&r, &t);
	tell(&t);
	check_reading(&r);
	end_somehow();
	reading_free(&r);
	text_free(&t);
}

static void values(void)
{
	spoiled(true);
}

static void texts(void)
{
	spoiled(false);
}

/* A conversation in two pieces, wherever it is cut; and in pieces of a byte. */
static void cut_anywhere(uint64_t seed)
{
	struct keel_switch_port were[TAPS];
	struct text t = { 0 }, first;
	struct world w, next;
	size_t at;

	random_begin(seed);
	world_make(&w, NULL);
	text_json(&t, echo());
	text_json(&t, world_answer(&w));
	world_make(&next, &w);
	next.behind = false;
	text_json(&t, world_update(&w, &next));
	for (at = 0; at <= t.len && !is_wrong(); at++) {
		first = (struct text){ t.at, at };
		cost_begin();
		arrive();
		set_taps();
		memcpy(were, taps, sizeof(were));
		tell_pieces(&first, at ? at : 1, true);
		first = (struct text){ t.at + at, t.len - at };
		tell_pieces(&first, t.len, true);
		check_world(&next, were);
		leave();
		cost_check();
	}
	result("a conversation cut at each of its bytes", at);
	cost_begin();
	arrive();
	set_taps();
	memcpy(were, taps, sizeof(were));
	tell_pieces(&t, 1, true);
	check_world(&next, were);
	if (!heard.len || !strstr(heard.at, "\"result\":[\"a}\\\"{\",{\"b\":[1]}]"))
		wrong("the echo is not answered: %.*s", (int)heard.len, heard.at);
	leave();
	cost_check();
	result("a conversation byte by byte", t.len);
	text_free(&t);
}

/* Too much of something. */

static void complete(void)
{
	struct text t = { 0 };
	struct world w;

	world_make(&w, NULL);
	w.behind = false;
	text_json(&t, world_answer(&w));
	arrive();
	tell(&t);
	text_free(&t);
}

/* @begin, @nr times @what, @end, and it goes. */
static void too_many(const char *begin, const char *what, size_t nr, const char *end)
{
	struct text t = { 0 };

	arrive();
	text_print(&t, "%s", begin);
	text_add_often(&t, what, nr);
	text_print(&t, "%s", end);
	tell_pieces(&t, 1 << 20, true);
	leave();
	text_free(&t);
}

static void no_end(void)
{
	too_many("{'x':'", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", 1 << 20, "");
}

static void blanks(void)
{
	too_many("", "\n         ", 2 << 20, "");
}

static void lists(void)
{
	too_many("{'id':1,'result':{'Bridge':[[]", ",[]", 5 << 20, "]}}");
}

static void objects(void)
{
	too_many("{'id':1,'result':{'Bridge':[[]", ",{}", 5 << 20, "]}}");
}

static void numbers(void)
{
	too_many("{'id':1,'result':{'Bridge':[[]", ",0", 7 << 20, "]}}");
}

static void brackets(void)
{
	too_many("{'id':1,'result':", "[", 10 << 20, "");
}

/* A bridge that cannot be is none. */
static void long_name(void)
{
	strcpy(taps[0].on, "ovs1");
	too_many("{'id':1,'result':{'Bridge':{'B':{'new':{'name':'", "xxxxxxxxxx",
		 3 << 19, "','ports':['uuid','P']}}},'Port':{'P':{'new':{'interfaces':['uuid','I']}}},'Interface':{'I':{'new':{'name':'t0'}}}}}");
	if (taps[0].on[0])
		wrong("t0 is on '%s' still", taps[0].on);
}

/* A port that a bridge has often, and that has an interface often. */
static void products(void)
{
	struct text t = { 0 };

	arrive();
	set_taps();
	text_print(&t, "{'id':1,'error':null,'result':{'Bridge':{'B':{'new':{'name':'ovs0','ports':['set',[['uuid','P']");
	text_add_often(&t, ",[\"uuid\",\"P\"]", 100000);
	text_print(&t, "]]}}},'Port':{'P':{'new':{'interfaces':['set',[['uuid','I']");
	text_add_often(&t, ",[\"uuid\",\"I\"]", 100000);
	text_print(&t, "]]}}},'Interface':{'I':{'new':{'name':'t0'}}}}}");
	tell_pieces(&t, 1 << 20, true);
	leave();
	text_free(&t);
}

/* Each of them says next to nothing. */
static void short_messages(void)
{
	struct text t = { 0 };

	complete();
	text_add_often(&t, "{}", 4 << 20);
	tell_pieces(&t, 1 << 20, true);
	leave();
	text_free(&t);
}

/* Rows, each much longer than it need be, one after the other. */
static void long_rows(void)
{
	struct text t = { 0 };

	complete();
	for (int i = 0; i < 600 && ovs_fd() >= 0; i++) {
		text_print(&t, "{'id':null,'method':'update','params':[null,{'Interface':{'%d':{'new':{'name':'",
			   i);
		text_add_often(&t, "xxxxxxxxxxxxxxxx", 1 << 16);
		text_print(&t, "'}}}}]}");
		tell_pieces(&t, 1 << 20, true);
		t.len = 0;
	}
	leave();
	text_free(&t);
}

static void long_uuids(void)
{
	struct text t = { 0 };

	complete();
	for (int i = 0; i < 600 && ovs_fd() >= 0; i++) {
		text_print(&t, "{'id':null,'method':'update','params':[null,{'Interface':{'%d", i);
		text_add_often(&t, "xxxxxxxxxxxxxxxx", 1 << 16);
		text_print(&t, "':{'new':{'name':'x'}}}}]}");
		tell_pieces(&t, 1 << 20, true);
		t.len = 0;
	}
	leave();
	text_free(&t);
}

/* One that comes and goes, and is another each time, takes no more than one. */
static void one_row(void)
{
	struct text t = { 0 };

	complete();
	for (int i = 0; i < 400 && ovs_fd() >= 0; i++) {
		text_print(&t, "{'id':null,'method':'update','params':[null,{'Interface':{'I':{'%s':{'name':'",
			   i % 4 ? "new" : "old");
		text_add_often(&t, "xxxxxxxxxxxxxxxx", i % 4 ? 1 << 15 : 1);
		text_print(&t, "'}}}}]}");
		tell_pieces(&t, 1 << 20, true);
		t.len = 0;
	}
	if (ovs_fd() < 0)
		wrong("it does not follow what is always the same: %s",
		      log_is_well() ? log_last() : "");
	leave();
	text_free(&t);
}

static void short_rows(void)
{
	struct text t = { 0 };

	arrive();
	text_print(&t, "{'id':1,'error':null,'result':{'Bridge':{'x':{}");
	for (int i = 0; i < 70000; i++)
		text_print(&t, ",'%d':{'new':{'name':'b%d'}}", i, i);
	text_print(&t, "}}}");
	tell_pieces(&t, 1 << 20, true);
	if (ovs_fd() >= 0)
		wrong("it follows what has more rows than can be");
	leave();
	text_free(&t);
}

/* As many as the largest switch there may be, and they are followed. */
static void many_ports(void)
{
	struct text t = { 0 };
	int nr = 20000;

	arrive();
	set_taps();
	text_print(&t, "{'id':1,'error':null,'result':{'Bridge':{'B':{'new':{'name':'ovs2','ports':['set',[");
	for (int i = 0; i < nr; i++)
		text_print(&t, "%s['uuid','%08d-0123-4567-89ab-0123456789ab']", i ? "," : "", i);
	text_print(&t, "]]}}},'Port':{");
	for (int i = 0; i < nr; i++)
		text_print(&t, "%s'%08d-0123-4567-89ab-0123456789ab':{'new':{'interfaces':['uuid','%08d-89ab-4567-89ab-0123456789ab']}}",
			   i ? "," : "", i, i);
	text_print(&t, "},'Interface':{");
	for (int i = 0; i < nr; i++)
		text_print(&t, "%s'%08d-89ab-4567-89ab-0123456789ab':{'new':{'name':'t%d'}}",
			   i ? "," : "", i, i);
	text_print(&t, "}}}");
	tell_pieces(&t, 1 << 20, true);
	for (int i = 0; i < TAPS; i++)
		if (strcmp(taps[i].on, "ovs2"))
			wrong("%s is on '%s'", taps[i].name, taps[i].on);
	leave();
	text_free(&t);
}

/* Taps that the kernel does not take, and that is told once. */
static void refused(void)
{
	struct text t = { 0 };

	arrive();
	set_taps();
	text_print(&t, "{'id':1,'error':null,'result':{'Bridge':{'A':{'new':{'name':'a\\nb','ports':['uuid','P']}},'B':{'new':{'name':'c\\u001bd /','ports':['uuid','Q']}}},");
	text_print(&t, "'Port':{'P':{'new':{'interfaces':['uuid','I']}},'Q':{'new':{'interfaces':['uuid','J']}}},");
	text_print(&t, "'Interface':{'I':{'new':{'name':'t0'}},'J':{'new':{'name':'t1'}}}}}");
	tell_pieces(&t, t.len, true);
	t.len = 0;
	text_print(&t, "{'id':null,'method':'update','params':[null,{}]}");
	for (int i = 0; i < 200; i++)
		tell_pieces(&t, t.len, true);
	leave();
	text_free(&t);
}

static void never_reads(void)
{
	struct text t = { 0 };

	complete();
	text_print(&t, "{'id':2,'method':'echo','params':['");
	text_add_often(&t, "zzzzzzzzzz", 20000);
	text_print(&t, "']}");
	for (int i = 0; i < 20 && ovs_fd() >= 0; i++)
		tell_pieces(&t, t.len, false);
	if (ovs_fd() >= 0)
		wrong("it goes on talking to somebody deaf");
	leave();
	text_free(&t);
}

static const struct {
	const char *what;
	void (*how)(void);
} too_much[] = {
	{ "a message without an end", no_end },
	{ "nothing but blanks", blanks },
	{ "brackets without an end", brackets },
	{ "lists without number", lists },
	{ "objects without number", objects },
	{ "numbers without number", numbers },
	{ "rows without number", short_rows },
	{ "a very long name", long_name },
	{ "long rows, one after the other", long_rows },
	{ "long uuids, one after the other", long_uuids },
	{ "a long row that comes and goes", one_row },
	{ "ports that are named often, of interfaces that are", products },
	{ "messages that say nothing", short_messages },
	{ "bridges that the kernel does not take", refused },
	{ "somebody deaf", never_reads },
	{ "a very large switch", many_ports },
};

static void begin(uint64_t seed)
{
	conf.ovsdb = hostile_begin(1 + 2 + 2 + NR(too_much), seed);
	for (int i = 0; i < TAPS; i++) {
		snprintf(taps[i].name, sizeof(taps[i].name), "t%d", i);
		taps[i].ifindex = 10 + i;
	}
	/* What is made once and kept. */
	honest();
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? atoi(argv[1]) : 1000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	begin(seed);
	result("somebody honest is followed", 1);
	cut_anywhere(seed);
	many("conversations with something else in them", values, seed, rounds);
	many("conversations that are garbled", texts, seed, rounds);
	for (size_t i = 0; i < NR(too_much); i++) {
		one(too_much[i].how);
		result(too_much[i].what, 1);
	}
	hostile_end();
}
