// SPDX-License-Identifier: GPL-2.0
// An interrupt that VMRUN has injected stays noted as an exception, and is
// delivered again if something asks this CPU to leave its loop.
@injected@
expression vector;
symbol cs;
@@
 helper_vmrun(...)
 {
 	<...
 	do_interrupt_x86_hardirq(env, vector, 1);
+	cs->exception_index = -1;
 	...>
 }

// The pending interrupts are other CPUs' to change, under the big lock.
@virq@
symbol cs;
@@
 helper_vmrun(...)
 {
 	<...
-	cs->interrupt_request |= CPU_INTERRUPT_VIRQ;
+	bql_lock();
+	cs->interrupt_request |= CPU_INTERRUPT_VIRQ;
+	bql_unlock();
 	...>
 }

@depends on virq@
@@
 #include "cpu.h"
+#include "qemu/main-loop.h"
