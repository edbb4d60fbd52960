// SPDX-License-Identifier: GPL-2.0
/* keel: dispatch, and the one place where an error becomes an exit status. */
#include <stdio.h>
#include <string.h>

#include "keel.h"
#include "out.h"

static int usage(const struct cmd *table, const char *object)
{
	for (const struct cmd *c = table; c->name; c++)
		fputs(c->help, stdout);
	if (!strcmp(object, "keel"))
		printf("'%s OBJECT help' and '%s OBJECT VERB help' say more; -j gives JSON.\n",
		       object, object);
	return 0;
}

static int unknown(const struct cmd *table, const char *object,
		   const char *word)
{
	char known[256] = "";
	size_t n = 0;

	for (const struct cmd *c = table; c->name; c++)
		n += snprintf(known + n, n < sizeof(known) ? sizeof(known) - n : 0,
			      "%s%s", n ? ", " : "", c->name);
	return word ? bad("%s: no such word '%s'; use one of: %s", object, word,
			  known) :
		      bad("%s: say what to do, one of: %s", object, known);
}

/* Run argv[1] of @table; words are exact. "help" works after any of them. */
int cmd_select(const struct cmd *table, const char *object, int argc,
	       char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word)
		return unknown(table, object, NULL);
	if (!strcmp(word, "help") || !strcmp(word, "--help"))
		return usage(table, object);
	for (const struct cmd *c = table; c->name; c++) {
		if (strcmp(c->name, word))
			continue;
		if (!c->object && argc == 3 && (!strcmp(argv[2], "help") ||
						!strcmp(argv[2], "--help"))) {
			fputs(c->help, stdout);
			return 0;
		}
		return c->run(argc - 1, argv + 1);
	}
	return unknown(table, object, word);
}

static const struct cmd objects[] = {
	{ "host", cmd_host,
	  "keel [host]                      the state of this host\n" },
	{ "doctor", cmd_doctor,
	  "keel doctor                      what this host can do, and what is missing\n" },
	{ "vm", cmd_vm,
	  "keel vm list|show                the virtual machines of this host\n",
	  .object = true },
	{ "snapshot", cmd_snapshot,
	  "keel snapshot create|list|show|wait|abort|verify|restore\n"
	  "                                 live snapshots, as directories\n",
	  .object = true },
	{ "place", cmd_place,
	  "keel place start|stop|status|on|off|advise|explain|record|replay|matrix|simulate\n"
	  "                                 vCPUs, sent to where their memory is near\n",
	  .object = true },
	{ "pool", cmd_pool,
	  "keel pool create|delete|set|add|remove|port|reserve|cancel|end|hook|show\n"
	  "                                 SR-IOV devices for the VMs of a virtual switch\n",
	  .object = true },
	{ "irq", cmd_irq,
	  "keel irq show|steer|top          device interrupts, sent to where their vCPU runs\n",
	  .object = true },
	{ "monitor", cmd_monitor,
	  "keel monitor                     events, as they come\n" },
	{ 0 }
};

int main(int argc, char **argv)
{
	int err;

	while (argc > 1 && argv[1][0] == '-') {
		if (!strcmp(argv[1], "-j") || !strcmp(argv[1], "--json")) {
			out_json = true;
		} else if (!strcmp(argv[1], "-V") ||
			   !strcmp(argv[1], "--version")) {
			puts("keel " KEEL_VERSION);
			return 0;
		} else if (!strcmp(argv[1], "--help")) {
			return usage(objects, "keel");
		} else {
			bad("no such option '%s'; -j, --version or --help may stand before the object",
			    argv[1]);
			out_error(error_text(), 2);
			return 2;
		}
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	err = argc > 1 ? cmd_select(objects, "keel", argc, argv) :
			 cmd_host(1, argv);
	if (err < 0) {
		if (!error_text())
			fail("failed without saying why");
		out_error(error_text(), error_status());
		return error_status();
	}
	out_flush();
	return err;
}
