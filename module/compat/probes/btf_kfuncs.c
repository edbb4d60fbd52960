// SPDX-License-Identifier: GPL-2.0
/* 6.9: "bpf: treewide: Annotate BPF kfuncs in BTF" */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>

__bpf_kfunc_start_defs();

__bpf_kfunc void probe(void);
__bpf_kfunc void probe(void)
{
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(probe_set)
BTF_ID_FLAGS(func, probe)
BTF_KFUNCS_END(probe_set)

const void *probe_used(void);
const void *probe_used(void)
{
	return &probe_set;
}
