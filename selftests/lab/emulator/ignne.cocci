// SPDX-License-Identifier: GPL-2.0
// Each FXRSTOR and XRSTOR, on any CPU, clears a bit in CPU 0's flags that is
// never set, by a load and a store without a lock. CPU 0 loses what it changed
// in between: that it takes no interrupts (GIF), or that its guest has nested
// paging. Write only if there is something to clear.
@clear@
expression env;
@@
 cpu_clear_ignne(...)
 {
 	...
-	env->hflags2 &= ~HF2_IGNNE_MASK;
+	if (env->hflags2 & HF2_IGNNE_MASK)
+		env->hflags2 &= ~HF2_IGNNE_MASK;
 	...
 }
