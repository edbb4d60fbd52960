// SPDX-License-Identifier: GPL-2.0
// A CPU's TLB has a device's registers as a number of a section of the map of
// memory, which is looked up in the map of that moment. When another CPU gives a
// device an address, the map is a new one, and until this CPU has flushed its TLB
// its numbers are those of other devices: what it writes goes astray. If that is
// the end of a timer interrupt, as seen while PCI devices are set up, this CPU
// never has another. Let each have its own map for as long as its TLB.
@view@
typedef CPUAddressSpace;
@@
 struct CPUAddressSpace {
 	...
 	AddressSpace *as;
+	FlatView *view;
 	...
 };

@lookup@
CPUAddressSpace *a;
expression cpu, i;
@@
(
-address_space_to_dispatch(a->as)
+flatview_to_dispatch(a->view)
|
-address_space_to_dispatch(cpu->cpu_ases[i].as)
+flatview_to_dispatch(cpu->cpu_ases[i].view)
)

@commit@
identifier cpu, data;
@@
 tcg_commit_cpu(CPUState *cpu, run_on_cpu_data data)
 {
+	CPUAddressSpace *cpuas = data.host_ptr;
+	FlatView *old = cpuas->view;
+
+	cpuas->view = address_space_get_flatview(cpuas->as);
 	tlb_flush(cpu);
+	if (old)
+		flatview_unref(old);
 }
