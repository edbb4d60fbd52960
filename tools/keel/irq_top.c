// SPDX-License-Identifier: GPL-2.0
/* keel irq top: what happened since the last look, again and again. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "irq.h"
#include "out.h"

/* A signal that came just before the wait is seen after so long. */
#define LOOK_NS		(200 * NS_PER_MS)
#define INTERVAL_MIN	0.1
#define INTERVAL_MAX	86400
#define ROWS_MIN	10	/* of a terminal */
#define ROWS_ELSE	5	/* the head, two lines of names, and what is left out */

/* Sorted by what makes them the same from one look to the next. */
struct look {
	struct irq_view view;
	uint64_t ns;
};

/* Between two looks: copies of the later one's, their counts what was added. */
struct change {
	struct irq_view *view;
	struct keel_irq_target *target;
	struct keel_irq_route *route;
	double seconds;
};

/* How many rows there is room for. */
struct room {
	int routes;
	int targets;
};

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int target_compare(const void *a, const void *b)
{
	const struct keel_irq_target *x = a, *y = b;

	return compare(x->vm, y->vm) ?: compare(x->vcpu, y->vcpu);
}

/* The host's number changes when the guest sets its device up anew. */
static int route_compare(const void *a, const void *b)
{
	const struct keel_irq_route *x = a, *y = b;

	return compare(x->vm, y->vm) ?: compare(x->gsi, y->gsi);
}

static int by_moves(const void *a, const void *b)
{
	const struct keel_irq_target *x = a, *y = b;

	return compare(y->moves, x->moves) ?: target_compare(a, b);
}

static int by_interrupts(const void *a, const void *b)
{
	const struct keel_irq_route *x = a, *y = b;

	return compare(y->total, x->total) ?: route_compare(a, b);
}

static void sort(void *array, int nr, size_t size,
		 int (*order)(const void *a, const void *b))
{
	if (nr)
		qsort(array, nr, size, order);
}

static int look(struct keel *keel, struct look *l)
{
	if (irq_view_get(keel, &l->view))
		return -1;
	l->ns = now_ns();
	sort(l->view.target, l->view.nr_targets, sizeof(*l->view.target),
	     target_compare);
	sort(l->view.route, l->view.nr_routes, sizeof(*l->view.route),
	     route_compare);
	return 0;
}

/* Who has begun anew meanwhile counts from 0. */
static void take(uint64_t *now, uint64_t then)
{
	*now -= *now >= then ? then : 0;
}

static void target_change(struct keel_irq_target *t, const struct irq_view *then)
{
	const struct keel_irq_target *old;

	old = then->nr_targets ? bsearch(t, then->target, then->nr_targets,
					 sizeof(*t), target_compare) : NULL;
	if (old)
		take(&t->moves, old->moves);
}

static void route_change(struct keel_irq_route *r, const struct irq_view *then)
{
	const struct keel_irq_route *old;

	old = then->nr_routes ? bsearch(r, then->route, then->nr_routes,
					sizeof(*r), route_compare) : NULL;
	if (!old || old->total > r->total)
		return;
	take(&r->total, old->total);
	take(&r->direct, old->direct);
	take(&r->near, old->near);
	take(&r->far, old->far);
	take(&r->halted, old->halted);
	take(&r->preempted, old->preempted);
	take(&r->paused, old->paused);
	take(&r->home, old->home);
	take(&r->aims, old->aims);
	take(&r->refused, old->refused);
}

static void *copy(const void *array, int nr, size_t size)
{
	void *new = malloc(nr * size + 1);

	if (!new)
		fail("out of memory");
	else if (nr)
		memcpy(new, array, nr * size);
	return new;
}

static void change_put(struct change *c)
{
	free(c->target);
	free(c->route);
}

static int change_get(struct look *now, const struct look *then, struct change *c)
{
	struct irq_view *v = &now->view;

	*c = (struct change){
		.view = v,
		.target = copy(v->target, v->nr_targets, sizeof(*v->target)),
		.route = copy(v->route, v->nr_routes, sizeof(*v->route)),
		.seconds = (double)(now->ns - then->ns) / NS_PER_SEC,
	};
	if (!c->target || !c->route) {
		change_put(c);
		return -1;
	}
	for (int i = 0; i < v->nr_targets; i++)
		target_change(&c->target[i], &then->view);
	for (int i = 0; i < v->nr_routes; i++)
		route_change(&c->route[i], &then->view);
	sort(c->target, v->nr_targets, sizeof(*c->target), by_moves);
	sort(c->route, v->nr_routes, sizeof(*c->route), by_interrupts);
	return 0;
}

static void show_vm_id(uint32_t id)
{
	out_u64("vm", "%-5llu", id);
}

/* Names have any length, so they stand last. */
static void show_vm_name(const struct change *c, uint32_t id, uint32_t pid)
{
	const struct irq_vm *vm = irq_view_vm(c->view, id, pid);

	out_u64("pid", NULL, pid);
	out_str("name", "  %s\n", vm ? vm->name : NULL);
}

/* In JSON it is there if it can be said. */
static void show_hit(const struct keel_irq_route *r)
{
	char text[IRQ_PERCENT_LEN];
	uint64_t running = irq_running(r);

	if (!out_json)
		out_text(" %6s", irq_percent(r->direct, running, text));
	else if (running)
		out_real("hit_percent", NULL, 100.0 * r->direct / running);
}

static void show_route(const struct change *c, const struct keel_irq_route *r)
{
	out_object(NULL);
	show_vm_id(r->vm);
	irq_show_number("irq", " %-6s", r->irq ? (int64_t)r->irq : -1);
	irq_show_device(r);
	out_u64("gsi", NULL, r->gsi);
	irq_show_number("vcpu", " %-6s", r->vcpu);
	out_str("aim", " %-9s", keel_irq_aim_name(r->aim));
	irq_show_number("cpu", " %-4s", r->cpu);
	out_real("interrupts_per_s", " %9.1f", r->total / c->seconds);
	show_hit(r);
	out_real("aims_per_s", " %7.1f", r->aims / c->seconds);
	out_u64("total", NULL, r->total);
	irq_show_counts(r);
	out_u64("aims", NULL, r->aims);
	out_u64("refused", NULL, r->refused);
	show_vm_name(c, r->vm, r->pid);
	out_end();
}

static void show_target(const struct change *c, const struct keel_irq_target *t)
{
	out_object(NULL);
	show_vm_id(t->vm);
	out_u64("vcpu", " %-6llu", t->vcpu);
	irq_show_number("tid", " %-8s", t->tid ? (int64_t)t->tid : -1);
	out_u64("cpu", " %-4llu", t->cpu);
	out_u64("node", " %-4llu", t->node);
	out_str("state", " %-9s", keel_irq_state_name(t->state));
	out_real("moves_per_s", " %7.1f", t->moves / c->seconds);
	out_u64("moves", NULL, t->moves);
	show_vm_name(c, t->vm, t->pid);
	out_end();
}

static void show_head(const struct change *c)
{
	uint64_t interrupts = 0;
	char time[48];

	for (int i = 0; i < c->view->nr_routes; i++)
		interrupts += c->route[i].total;
	out_str("time", "%s ", time_text(real_ns(), time, sizeof(time)));
	irq_show_mode(&c->view->irq);
	out_real("interrupts_per_s", ": %.1f interrupts/s",
		 interrupts / c->seconds);
	out_real("seconds", " in %.1f s\n", c->seconds);
}

static void show_routes(const struct change *c, int room)
{
	int nr = c->view->nr_routes;

	out_array("routes");
	if (nr)
		out_text("%-5s %-6s %-13s %-6s %-9s %-4s %9s %6s %7s  %s\n", "VM",
			 "IRQ", "DEVICE", "TARGET", "AIM", "CPU", "INT/S",
			 "HIT%", "AIMS/S", "NAME");
	for (int i = 0; i < nr && i < room; i++)
		show_route(c, &c->route[i]);
	out_end();
}

static void show_targets(const struct change *c, int room)
{
	int nr = c->view->nr_targets;

	out_array("targets");
	if (nr)
		out_text("%-5s %-6s %-8s %-4s %-4s %-9s %7s  %s\n", "VM", "TARGET",
			 "THREAD", "CPU", "NODE", "STATE", "MOVES/S", "NAME");
	for (int i = 0; i < nr && i < room; i++)
		show_target(c, &c->target[i]);
	out_end();
}

/* Routes are given what targets leave, which have a third if there are more. */
static struct room room_for(const struct irq_view *v, bool terminal)
{
	struct room room = { v->nr_routes, v->nr_targets };
	struct winsize size = { 0 };
	int rows;

	if (!terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
		return room;
	rows = (size.ws_row < ROWS_MIN ? ROWS_MIN : size.ws_row) - ROWS_ELSE;
	if (room.routes + room.targets <= rows)
		return room;
	if (room.targets > rows / 3)
		room.targets = room.routes < rows - rows / 3 ?
			       rows - room.routes : rows / 3;
	if (room.routes > rows - room.targets)
		room.routes = rows - room.targets;
	return room;
}

static void show_rest(const struct change *c, const struct room *room)
{
	int routes = c->view->nr_routes - room->routes;
	int targets = c->view->nr_targets - room->targets;

	if (routes > 0 || targets > 0)
		out_text("and %d routes, %d targets more\n", routes, targets);
}

static void show(const struct change *c, bool terminal)
{
	struct room room = room_for(c->view, terminal);

	/* What is longer than a line is cut off there, or rows would not be right. */
	if (terminal)
		out_text("\033[?7l\033[H\033[J");
	out_object(NULL);
	show_head(c);
	show_routes(c, room.routes);
	show_targets(c, room.targets);
	show_rest(c, &room);
	out_text(terminal ? "\033[?7h" : "\n");
	out_flush();
}

/* Return: false if it is to end. */
static bool wait_until(uint64_t ns)
{
	while (!stop_signal) {
		uint64_t now = now_ns(), left = ns > now ? ns - now : 0;
		struct timespec ts = { 0 };

		if (!left)
			return true;
		ts.tv_nsec = left < LOOK_NS ? left : LOOK_NS;
		nanosleep(&ts, NULL);
	}
	return false;
}

/* Who reads has gone, which is no failure; any other trouble is. */
static int written(void)
{
	if (!ferror(stdout))
		return 0;
	stop_signal = SIGPIPE;
	return errno == EPIPE ? 0 : fail("standard output: %s", strerror(errno));
}

static int top(struct keel *keel, uint64_t interval_ns, uint32_t times)
{
	bool terminal = !out_json && isatty(STDOUT_FILENO);
	struct look then, now;
	struct change c;
	uint64_t next;
	int err;

	err = look(keel, &then);
	if (err)
		return err;
	next = then.ns + interval_ns;
	for (uint32_t i = 0; !err && (!times || i < times) && wait_until(next); i++) {
		err = look(keel, &now);
		if (err)
			break;
		err = change_get(&now, &then, &c);
		if (!err) {
			show(&c, terminal);
			change_put(&c);
			err = written();
		}
		irq_view_put(&then.view);
		then = now;
		next += interval_ns;
		/* It was held up: nobody wants to see that again and again. */
		if (next < now.ns)
			next = now.ns + interval_ns;
	}
	irq_view_put(&then.view);
	return err;
}

/* strtod() knows words and hexadecimals, too. */
static int parse_interval(const char *text, uint64_t *ns)
{
	bool number = *text && text[strspn(text, "0123456789.")] == 0;
	double seconds = 0;
	char *end = NULL;

	if (number)
		seconds = strtod(text, &end);
	if (!number || *end || seconds < INTERVAL_MIN || seconds > INTERVAL_MAX)
		return bad("--interval: '%s' is not a number of seconds from 0.1 to 86400",
			   text);
	*ns = seconds * NS_PER_SEC;
	return 0;
}

int irq_top(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "times", required_argument, NULL, 'n' },
		{ 0 }
	};
	uint64_t interval_ns = NS_PER_SEC;
	uint32_t times = 0;
	struct keel *keel;
	int c, err = 0;

	while (!err && (c = next_option(argc, argv, options)) != -1) {
		if (c == 'i')
			err = parse_interval(optarg, &interval_ns);
		else if (c == 'n')
			err = parse_positive("--times", optarg, &times);
		else
			err = -1;
	}
	if (err || no_words(argc, argv, "irq top") || keel_connect(&keel))
		return -1;
	catch_signals();
	err = top(keel, interval_ns, times);
	keel_close(keel);
	return err;
}
