// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM's monitor says, as far as a job has to know it before it does something.
 * It is asked in one piece: QEMU answers between other things that it does, and each
 * question that waits for an answer to another one waits for these, too. And no more is
 * asked than is needed: QEMU reads its monitor byte by byte.
 */
#include <string.h>

#include "keeld.h"

static unsigned int queue_network(struct qmp *q)
{
	return qmp_queue(q, "human-monitor-command",
			 json_pack("{s:s}", "command-line", "info network"));
}

/**
 * view_get - ask a monitor
 * @q: the monitor
 * @view: (out) what it says; for view_put(), whatever comes of it
 * @more: its network devices and its memory, too, and where there is a place for one:
 *	something is to be plugged in, most likely; if not, who needs them asks then
 *
 * Return: 0, or -1 after fail().
 */
int view_get(struct qmp *q, struct view *view, bool more)
{
	unsigned int devices, run, migration, text = 0, memory = 0, pci = 0;

	*view = (struct view){ 0 };
	devices = qmp_queue(q, "qom-list", json_pack("{s:s}", "path", PERIPHERAL));
	run = qmp_queue(q, "query-status", NULL);
	migration = qmp_queue(q, "query-migrate", NULL);
	if (more) {
		text = queue_network(q);
		memory = qmp_queue(q, "query-memory-size-summary", NULL);
		pci = qmp_queue(q, "query-pci", NULL);
	}
	if (qmp_flush(q, -1))
		return -1;
	view->devices = qmp_expect(q, devices, "qom-list", QMP_CALL_MS);
	if (!view->devices)
		return -1;
	view->run = qmp_answer(q, run, QMP_CALL_MS);
	view->migration = qmp_answer(q, migration, QMP_CALL_MS);
	view->network = qmp_answer(q, text, QMP_CALL_MS);
	view->memory = qmp_answer(q, memory, QMP_CALL_MS);
	view->pci = qmp_answer(q, pci, QMP_CALL_MS);
	return 0;
}

/** view_put - the end of a view */
void view_put(struct view *view)
{
	json_decref(view->devices);
	json_decref(view->run);
	json_decref(view->migration);
	json_decref(view->network);
	json_decref(view->memory);
	json_decref(view->pci);
	*view = (struct view){ 0 };
}

/**
 * view_network - what "info network" says
 * @q: the monitor
 * @view: what it says
 *
 * Return: NULL after fail().
 */
const char *view_network(struct qmp *q, struct view *view)
{
	unsigned int id;

	if (!view->network) {
		id = queue_network(q);
		view->network = qmp_expect(q, qmp_flush(q, -1) ? 0 : id,
					   "info network", QMP_CALL_MS);
	}
	if (!json_is_string(view->network))
		fail("QEMU: info network: no text");
	return json_string_value(view->network);
}

/** view_pci_changes - what was said of PCI devices is over */
void view_pci_changes(struct view *view)
{
	json_decref(view->pci);
	view->pci = NULL;
}

/**
 * view_pci - see that @view->pci is as it is now
 * @q: the monitor
 * @view: what it says
 *
 * Return: 0, or -1 after fail().
 */
int view_pci(struct qmp *q, struct view *view)
{
	if (!view->pci)
		view->pci = qmp_call(q, "query-pci", NULL, -1, QMP_CALL_MS);
	return view->pci ? 0 : -1;
}

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(word, *words))
		words++;
	return *words;
}

/* The "status" in what a monitor says; "" if it says none. */
static const char *status_in(json_t *said)
{
	return json_string_value(json_object_get(said, "status")) ?: "";
}

/**
 * view_may - may devices come and go now?
 * @view: what the monitor says
 *
 * Not while the VM is on its way from one host to another, or is saved: QEMU refuses
 * that, or worse.
 *
 * Return: 0, or -1 after fail().
 */
int view_may(const struct view *view)
{
	static const char *const over[] = {
		"", "none", "completed", "cancelled", "failed", NULL
	};
	static const char *const away[] = {
		"postmigrate", "finish-migrate", NULL
	};
	const char *run = status_in(view->run);

	if (!strcmp(run, "inmigrate"))
		return fail("the VM is arriving: VFs are plugged in when it is there");
	if (is_one_of(run, away))
		return fail("the VM has left");
	return is_one_of(status_in(view->migration), over) ? 0 :
	       fail("the VM is being migrated or saved: nothing is plugged in or out meanwhile");
}

/** view_memory - how much memory the guest has, in bytes; 0 if @q does not say */
uint64_t view_memory(struct qmp *q, struct view *view)
{
	uint64_t base;

	if (!view->memory)
		view->memory = qmp_try(q, "query-memory-size-summary", NULL, -1, QMP_CALL_MS);
	base = json_integer_value(json_object_get(view->memory, "base-memory"));
	return base + json_integer_value(json_object_get(view->memory, "plugged-memory"));
}
