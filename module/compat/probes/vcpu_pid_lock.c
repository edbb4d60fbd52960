// SPDX-License-Identifier: GPL-2.0
/* 6.14: a vCPU's thread is under a lock, no longer RCU */
#include <linux/kvm_host.h>

void probe(struct kvm_vcpu *vcpu);
void probe(struct kvm_vcpu *vcpu)
{
	read_lock(&vcpu->pid_lock);
}
