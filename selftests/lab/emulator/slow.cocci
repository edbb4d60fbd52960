// SPDX-License-Identifier: GPL-2.0
// A guest in a guest in an emulated host has no time left between two ticks of its clock:
// a tick costs more than the 4 ms that it comes after. KEEL_SLOWER in the environment says
// how many times slower all clocks of the emulated machine go.
@slower@
typedef int64_t;
@@
+static int64_t keel_slower = 1;
+
 static int64_t cpu_get_ticks_locked(void)
 {
 	...
 }

@init@
@@
 void cpu_timers_init(void)
 {
+	if (getenv("KEEL_SLOWER") && atoi(getenv("KEEL_SLOWER")) > 0)
+		keel_slower = atoi(getenv("KEEL_SLOWER"));
 	...
 }

@ticks@
@@
-cpu_get_host_ticks()
+(cpu_get_host_ticks() / keel_slower)

@clock@
@@
-get_clock()
+(get_clock() / keel_slower)
