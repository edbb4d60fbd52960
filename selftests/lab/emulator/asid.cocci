// SPDX-License-Identifier: GPL-2.0
// Host and guest keep their TLBs while the other one runs (see tlb.cocci). The guest's is
// emptied if its ASID is another, if the host asks for that (TLB_CONTROL), or, to be on
// the safe side, if the guest is not as it was left.
@load@
typedef uint16_t;
expression env, cr0, cr3, cr4;
@@
-cpu_x86_update_cr0(env, cr0);
-cpu_x86_update_cr4(env, cr4);
-cpu_x86_update_cr3(env, cr3);
+load_crs(env, cr0, cr3, cr4);

@nested@
@@
-tlb_flush_by_mmuidx(cs, 1 << MMU_NESTED_IDX);

@enter depends on load@
typedef CPUState, CPUX86State, uint64_t, bool;
symbol cs, asid, new_cr0, new_cr3, new_cr4;
@@
+void tlb_swap(CPUState *cs);
+uint16_t tlb_set_dirty_modes(CPUState *cs, uint16_t dirty);
+
+/* Of each CPU: whose its guest's TLB is. */
+static struct guest_tlb {
+	uint64_t asid;
+	uint64_t nested_cr3;
+	uint64_t nested_mode;
+	uint64_t cr0;
+	uint64_t cr3;
+	uint64_t cr4;
+	uint64_t efer;
+} guest_tlbs[256];
+static bool guest_tlb_used[256];
+
+/*
+ * No TLB is emptied for that: they belong to what is loaded. Nor what is known of where
+ * jumps lead, which host and guest have apart: whoever changes a bit that has to do with
+ * paging loses it, so that none changes, but for paging itself.
+ */
+static void load_crs(CPUX86State *env, uint64_t cr0, uint64_t cr3, uint64_t cr4)
+{
+	uint16_t dirty = tlb_set_dirty_modes(env_cpu(env), 0);
+
+	env->cr[0] = (env->cr[0] & CR0_PG_MASK) | (cr0 & ~CR0_PG_MASK);
+	env->cr[4] = cr4;
+	cpu_x86_update_cr0(env, cr0);
+	cpu_x86_update_cr4(env, cr4);
+	env->cr[3] = cr3;
+	tlb_set_dirty_modes(env_cpu(env), dirty);
+}
+
+static void guest_tlb_enter(CPUX86State *env, uint64_t asid, uint64_t cr0, uint64_t cr3,
+			    uint64_t cr4)
+{
+	CPUState *cs = env_cpu(env);
+	struct guest_tlb now = { 0 };
+
+	assert(cs->cpu_index < ARRAY_SIZE(guest_tlbs));
+	now.asid = asid;
+	if (env->hflags2 & HF2_NPT_MASK)
+		now.nested_cr3 = env->nested_cr3;
+	now.nested_mode = env->nested_pg_mode;
+	now.cr0 = cr0;
+	now.cr3 = cr3;
+	now.cr4 = cr4;
+	now.efer = x86_ldq_phys(cs, env->vm_vmcb + offsetof(struct vmcb, save.efer));
+	tlb_swap(cs);
+	if (memcmp(&now, &guest_tlbs[cs->cpu_index], sizeof(now)) ||
+	    x86_ldub_phys(cs, env->vm_vmcb + offsetof(struct vmcb, control.tlb_ctl)))
+		tlb_flush_by_mmuidx(cs, 0xff);
+	guest_tlbs[cs->cpu_index] = now;
+	guest_tlb_used[cs->cpu_index] = true;
+}
+
+static void guest_tlb_leave(CPUX86State *env)
+{
+	CPUState *cs = env_cpu(env);
+	struct guest_tlb *left = &guest_tlbs[cs->cpu_index];
+
+	/* It is not if the guest was refused. */
+	if (!guest_tlb_used[cs->cpu_index])
+		return;
+	left->cr0 = env->cr[0];
+	left->cr3 = env->cr[3];
+	left->cr4 = env->cr[4];
+	left->efer = env->efer;
+	tlb_swap(cs);
+	guest_tlb_used[cs->cpu_index] = false;
+}
+
 void helper_vmrun(CPUX86State *env, ...)
 {
 	<...
+	guest_tlb_enter(env, asid, new_cr0, new_cr3, new_cr4);
 	load_crs(env, new_cr0, new_cr3, new_cr4);
 	...>
 }

@reset@
@@
 helper_vmrun(...)
 {
 	...
+	/* A CPU that is reset with a guest running has emptied all. */
+	guest_tlb_used[cs->cpu_index] = false;
 	env->vm_vmcb = addr;
 	...
 }

@leave@
expression cr0, cr3, cr4;
@@
 do_vmexit(...)
 {
 	<...
+	guest_tlb_leave(env);
 	load_crs(env, cr0, cr3, cr4);
 	...>
 }
