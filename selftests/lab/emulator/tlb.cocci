// SPDX-License-Identifier: GPL-2.0
// A processor with SVM tags what is in its TLB by ASID: neither the host nor the guest
// loses its own when the other one runs. The emulator empties all (see asid.cocci).
//
// A CPU has a TLB for each of 16 modes; this architecture uses 8. The other 8 are for
// what is of the guest while the host runs, and of the host while the guest does.
// A flush of all, or of a page, has both. A write to a page with code is told to the
// TLBs in use only: the same address is that of another page in the others.
@swap@
typedef CPUState, CPUTLB, CPUTLBDesc, CPUTLBDescFast, CPUTLBCommon, uint16_t;
@@
 void tlb_flush(CPUState *cpu) { ... }
+
+void tlb_swap(CPUState *cpu);
+
+void tlb_swap(CPUState *cpu)
+{
+	CPUTLB *tlb = &cpu->neg.tlb;
+	int i, kept;
+
+	qemu_spin_lock(&tlb->c.lock);
+	for (i = 0; i < NB_MMU_MODES / 2; i++) {
+		CPUTLBDesc d = tlb->d[i];
+		CPUTLBDescFast f = tlb->f[i];
+
+		kept = i + NB_MMU_MODES / 2;
+		tlb->d[i] = tlb->d[kept];
+		tlb->f[i] = tlb->f[kept];
+		tlb->d[kept] = d;
+		tlb->f[kept] = f;
+	}
+	tlb->c.dirty = tlb->c.dirty << 8 | tlb->c.dirty >> 8;
+	qemu_spin_unlock(&tlb->c.lock);
+}
+
+/* What is not dirty is not flushed. */
+uint16_t tlb_set_dirty_modes(CPUState *cpu, uint16_t dirty);
+
+uint16_t tlb_set_dirty_modes(CPUState *cpu, uint16_t dirty)
+{
+	CPUTLBCommon *c = &cpu->neg.tlb.c;
+	uint16_t before;
+
+	qemu_spin_lock(&c->lock);
+	before = c->dirty;
+	c->dirty = dirty;
+	qemu_spin_unlock(&c->lock);
+	return before;
+}

@code@
@@
 tlb_set_dirty(...)
 {
 	<...
-	NB_MMU_MODES
+	NB_MMU_MODES / 2
 	...>
 }
