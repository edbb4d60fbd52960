// SPDX-License-Identifier: GPL-2.0
#include "keel.h"
#include "snapshot.h"
const char snapshot_restore_help[] = "keel snapshot restore DIR -- QEMU COMMAND...\n";
int snapshot_restore(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return bad("not yet");
}
