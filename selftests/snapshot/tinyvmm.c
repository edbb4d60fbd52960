// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tinyvmm.h"

/* Layout of the low memory. */
#define LOW_SIZE	TVM_RAM
#define PML4		0x1000
#define PDPT		0x2000
#define PD		0x3000		/* four of them */
#define CODE		0x8000
#define JOB(i)		(0x10000 + (i) * 0x4000)	/* struct tvm_step[] */
#define IDT		0x30000
#define GDT		0x31000
#define HANDLER(v)	(0x32000 + (v) * 0x40)
#define STACK(i)	(0x39000 + (i) * 0x1000)	/* down from there */
#define TAKEN(i)	(0x100000 + (i) * 0x1000)	/* uint64_t[256] */
#define STAMPS		0x800		/* from there: likewise */
#define APIC_EOI	0xfee000b0
#define APIC_SVR	0xf0

#define SIG_KICK	SIGUSR1

/*
 * rdi: steps, rsi: how many
 *
 *	xor	r8, r8
 * outer:
 *	inc	r8
 *	mov	rbx, rdi
 *	mov	rcx, rsi
 * inner:
 *	mov	rax, [rbx]
 *	mov	rdx, [rbx + 8]
 *	mov	rdx, [rdx]
 *	mov	[rax + 8], rdx
 *	mov	[rax], r8
 *	add	rbx, 16
 *	dec	rcx
 *	jnz	inner
 *	jmp	outer
 */
static const unsigned char ordered_code[] = {
	0x4d, 0x31, 0xc0,
	0x49, 0xff, 0xc0,
	0x48, 0x89, 0xfb,
	0x48, 0x89, 0xf1,
	0x48, 0x8b, 0x03,
	0x48, 0x8b, 0x53, 0x08,
	0x48, 0x8b, 0x12,
	0x48, 0x89, 0x50, 0x08,
	0x4c, 0x89, 0x00,
	0x48, 0x83, 0xc3, 0x10,
	0x48, 0xff, 0xc9,
	0x75, 0xe6,
	0xeb, 0xdb,
};

/*
 * rdi: from, rsi: to, rdx: stride
 *
 * again:
 *	mov	[rdi], rsi
 *	add	rdi, rdx
 *	cmp	rdi, rsi
 *	jb	again
 *	hlt
 */
static const unsigned char touch_code[] = {
	0x48, 0x89, 0x37,
	0x48, 0x01, 0xd7,
	0x48, 0x39, 0xf7,
	0x72, 0xf5,
	0xf4,
};

/* The same with "mov rax, [rdi]". */
static const unsigned char read_code[] = {
	0x48, 0x8b, 0x07,
	0x48, 0x01, 0xd7,
	0x48, 0x39, 0xf7,
	0x72, 0xf5,
	0xf4,
};

/* again: jmp again */
static const unsigned char spin_code[] = { 0xeb, 0xfe };

/* again: hlt; jmp again */
static const unsigned char halt_code[] = { 0xf4, 0xeb, 0xfd };

/*
 * rdi: the mailbox, rsi: turns to wait, rdx: which hypercall
 *
 * again:
 *	mov	rbx, [rdi]
 *	mov	eax, edx
 *	vmmcall
 *	inc	qword [rdi + 8]
 *	mov	rcx, rsi
 * wait:
 *	dec	rcx
 *	jnz	wait
 *	jmp	again
 */
static const unsigned char call_code[] = {
	0x48, 0x8b, 0x1f,
	0x89, 0xd0,
	0x0f, 0x01, 0xd9,
	0x48, 0xff, 0x47, 0x08,
	0x48, 0x89, 0xf1,
	0x48, 0xff, 0xc9,
	0x75, 0xfb,
	0xeb, 0xea,
};

/*
 * r15: the vCPU's counts, r14: its APIC's end of interrupt
 *
 *	push	rax
 *	push	rdx
 *	rdtsc
 *	mov	[r15 + STAMPS + 8 * vector], eax
 *	mov	[r15 + STAMPS + 8 * vector + 4], edx
 *	pop	rdx
 *	pop	rax
 *	lock inc qword [r15 + 8 * vector]
 *	mov	dword [r14], 0
 *	iretq
 */
static const unsigned char handler_code[] = {
	0x50, 0x52, 0x0f, 0x31,
	0x41, 0x89, 0x87, 0, 0, 0, 0,
	0x41, 0x89, 0x97, 0, 0, 0, 0,
	0x5a, 0x58,
	0xf0, 0x49, 0xff, 0x87, 0, 0, 0, 0,
	0x41, 0xc7, 0x06, 0, 0, 0, 0,
	0x48, 0xcf,
};

static void on_kick(int sig)
{
	(void)sig;
}

static void make_tables(unsigned char *low)
{
	uint64_t *pml4 = (void *)(low + PML4);
	uint64_t *pdpt = (void *)(low + PDPT);
	uint64_t *pd = (void *)(low + PD);
	uint64_t i;

	pml4[0] = PDPT | 3;
	for (i = 0; i < 4; i++)
		pdpt[i] = (PD + i * 0x1000) | 3;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = (i << 21) | 0x83;
}

/* Of the offsets in handler_code. */
#define STAMP_LOW	7
#define STAMP_HIGH	14
#define COUNT		24

/* Each vector has a handler of its own, all vCPUs the same. */
static void make_handlers(unsigned char *low)
{
	uint64_t *idt = (void *)(low + IDT);
	uint64_t *gdt = (void *)(low + GDT);
	uint32_t v;

	gdt[1] = 0x00af9b000000ffff;	/* code, as segment() has it */
	gdt[2] = 0x00cf93000000ffff;
	for (v = 32; v < 256; v++) {
		unsigned char *code = low + HANDLER(v);
		uint64_t at = HANDLER(v);
		uint32_t count = 8 * v, stamp = STAMPS + count, upper = stamp + 4;

		memcpy(code, handler_code, sizeof(handler_code));
		memcpy(code + STAMP_LOW, &stamp, sizeof(stamp));
		memcpy(code + STAMP_HIGH, &upper, sizeof(upper));
		memcpy(code + COUNT, &count, sizeof(count));
		idt[2 * v] = (at & 0xffff) | 0x08ULL << 16 | 0x8eULL << 40 |
			     (at >> 16 & 0xffff) << 48;
	}
}

const char *tvm_missing(void)
{
	static char why[64];
	struct tvm vm;
	int ret;

	if (access("/dev/kvm", R_OK | W_OK))
		return "no usable /dev/kvm";
	ret = tvm_create(&vm, 1);
	if (!ret)
		ret = tvm_load_touch(&vm, 0, TVM_TOUCH, 0x100000, 0x102000,
				     0x1000);
	if (!ret)
		ret = tvm_run(&vm, 0);
	if (!ret && *(uint64_t *)(vm.low + 0x101000) != 0x102000)
		ret = -EIO;
	tvm_destroy(&vm);
	if (!ret)
		return NULL;
	strcpy(why, "a probe guest does not run: ");
	strncat(why, strerror(-ret), sizeof(why) - strlen(why) - 1);
	return why;
}

static int add_slot(struct tvm *vm, uint64_t gpa, void *hva, size_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = vm->nr_slots,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r))
		return -errno;
	vm->nr_slots++;
	return 0;
}

static void segment(struct kvm_segment *s, uint16_t selector, uint8_t type,
		    bool code)
{
	memset(s, 0, sizeof(*s));
	s->limit = 0xffffffff;
	s->selector = selector;
	s->type = type;
	s->present = 1;
	s->s = 1;
	s->g = 1;
	s->l = code;
	s->db = !code;
}

static int long_mode(int fd)
{
	struct kvm_sregs s;

	if (ioctl(fd, KVM_GET_SREGS, &s))
		return -errno;
	segment(&s.cs, 0x08, 0xb, true);
	segment(&s.ds, 0x10, 0x3, false);
	s.es = s.ds;
	s.fs = s.ds;
	s.gs = s.ds;
	s.ss = s.ds;
	s.cr3 = PML4;
	s.cr4 |= 0x20;			/* PAE */
	s.cr0 |= 0x80000001;		/* PG, PE */
	s.efer |= 0x500;		/* LME, LMA */
	return ioctl(fd, KVM_SET_SREGS, &s) ? -errno : 0;
}

/* Without CPUID the guest has no long mode to enter. */
static int set_cpuid(int kvm, int fd)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 room[256];
	} c = { .head.nent = 256 };

	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &c))
		return -errno;
	return ioctl(fd, KVM_SET_CPUID2, &c) ? -errno : 0;
}

/* Its time-stamp counter is the host's. */
static int share_tsc(int fd)
{
	uint64_t none = 0;
	struct kvm_device_attr offset = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&none,
	};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &offset) ? -errno : 0;
}

/* Its APIC takes interrupts, and it finds their handlers. */
static int take_interrupts(int fd)
{
	struct kvm_lapic_state apic;
	struct kvm_sregs s;

	if (ioctl(fd, KVM_GET_LAPIC, &apic))
		return -errno;
	apic.regs[APIC_SVR] = 0xff;
	apic.regs[APIC_SVR + 1] |= 1;
	if (ioctl(fd, KVM_SET_LAPIC, &apic) || ioctl(fd, KVM_GET_SREGS, &s))
		return -errno;
	s.idt.base = IDT;
	s.idt.limit = 256 * 16 - 1;
	s.gdt.base = GDT;
	s.gdt.limit = 3 * 8 - 1;
	return ioctl(fd, KVM_SET_SREGS, &s) ? -errno : 0;
}

static int add_vcpu(struct tvm *vm, int i)
{
	struct tvm_vcpu *v = &vm->vcpu[i];
	int size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	int ret;

	if (size < 0)
		return -errno;
	v->vm = vm;
	v->index = i;
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, i);
	if (v->fd < 0)
		return -errno;
	vm->nr_vcpus = i + 1;
	v->run_size = size;
	v->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return -errno;
	}
	ret = set_cpuid(vm->kvm, v->fd);
	if (!ret)
		ret = long_mode(v->fd);
	if (!ret && vm->interrupts)
		ret = share_tsc(v->fd) ?: take_interrupts(v->fd);
	return ret;
}

static int create(struct tvm *vm, int nr_vcpus, bool interrupts)
{
	struct sigaction sa = { .sa_handler = on_kick };
	int i, ret;

	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
	vm->next_gpa = TVM_RAM;
	sigaction(SIG_KICK, &sa, NULL);
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return -errno;
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return -errno;
	vm->interrupts = interrupts;
	if (interrupts && ioctl(vm->fd, KVM_CREATE_IRQCHIP))
		return -errno;
	vm->low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->low == MAP_FAILED) {
		vm->low = NULL;
		return -ENOMEM;
	}
	make_tables(vm->low);
	make_handlers(vm->low);
	memcpy(vm->low + CODE + TVM_ORDERED * 0x100, ordered_code,
	       sizeof(ordered_code));
	memcpy(vm->low + CODE + TVM_TOUCH * 0x100, touch_code,
	       sizeof(touch_code));
	memcpy(vm->low + CODE + TVM_READ * 0x100, read_code,
	       sizeof(read_code));
	memcpy(vm->low + CODE + TVM_SPIN * 0x100, spin_code, sizeof(spin_code));
	memcpy(vm->low + CODE + TVM_HALT * 0x100, halt_code, sizeof(halt_code));
	memcpy(vm->low + CODE + TVM_CALL * 0x100, call_code, sizeof(call_code));
	ret = add_slot(vm, 0, vm->low, LOW_SIZE, 0);
	for (i = 0; i < nr_vcpus && !ret; i++)
		ret = add_vcpu(vm, i);
	return ret;
}

int tvm_create(struct tvm *vm, int nr_vcpus)
{
	return create(vm, nr_vcpus, false);
}

int tvm_create_interruptible(struct tvm *vm, int nr_vcpus)
{
	return create(vm, nr_vcpus, true);
}

uint64_t tvm_taken(const struct tvm *vm, int i, int vector)
{
	return __atomic_load_n((uint64_t *)(vm->low + TAKEN(i)) + vector, __ATOMIC_ACQUIRE);
}

uint64_t tvm_stamp(const struct tvm *vm, int i, int vector)
{
	return __atomic_load_n((uint64_t *)(vm->low + TAKEN(i) + STAMPS) + vector,
			       __ATOMIC_ACQUIRE);
}

static int add_memory(struct tvm *vm, void *hva, size_t size, uint64_t *gpa,
		      uint32_t flags)
{
	uint64_t at = vm->next_gpa;
	int ret;

	if (at + size > TVM_TOP - (1ULL << 30))	/* below the local APIC */
		return -ENOSPC;
	ret = add_slot(vm, at, hva, size, flags);
	if (ret)
		return ret;
	*gpa = at;
	vm->next_gpa = (at + size + 0x1fffff) & ~0x1fffffULL;
	return 0;
}

int tvm_add_memory(struct tvm *vm, void *hva, size_t size, uint64_t *gpa)
{
	return add_memory(vm, hva, size, gpa, 0);
}

int tvm_add_rom(struct tvm *vm, void *hva, size_t size, uint64_t *gpa)
{
	return add_memory(vm, hva, size, gpa, KVM_MEM_READONLY);
}

static int set_regs(struct tvm *vm, int i, enum tvm_program program,
		    uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
	struct kvm_regs r = {
		.rip = CODE + program * 0x100,
		.rflags = program >= TVM_SPIN ? 0x202 : 2,
		.rsp = program >= TVM_SPIN ? STACK(i) : 0x8000,
		.r14 = APIC_EOI,
		.r15 = TAKEN(i),
		.rdi = rdi,
		.rsi = rsi,
		.rdx = rdx,
	};
	/* A vCPU that halted sleeps until it is told otherwise. */
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };

	/* Only with an in-kernel irqchip; without it HLT exits. */
	ioctl(vm->vcpu[i].fd, KVM_SET_MP_STATE, &mp);
	return ioctl(vm->vcpu[i].fd, KVM_SET_REGS, &r) ? -errno : 0;
}

int tvm_load_ordered(struct tvm *vm, int i, const struct tvm_step *steps,
		     int nr_steps)
{
	if (nr_steps > TVM_STEPS)
		return -EINVAL;
	memcpy(vm->low + JOB(i), steps, nr_steps * sizeof(*steps));
	return set_regs(vm, i, TVM_ORDERED, JOB(i), nr_steps, 0);
}

int tvm_load_touch(struct tvm *vm, int i, enum tvm_program program,
		   uint64_t from, uint64_t to, uint64_t stride)
{
	return set_regs(vm, i, program, from, to, stride);
}

int tvm_load_idle(struct tvm *vm, int i, enum tvm_program program)
{
	return set_regs(vm, i, program, 0, 0, 0);
}

int tvm_load_call(struct tvm *vm, int i, uint32_t nr, uint64_t mailbox, uint64_t wait)
{
	return set_regs(vm, i, TVM_CALL, mailbox, wait, nr);
}

/* Until a halt (0), a stop (1), or an error. */
static int enter(struct tvm_vcpu *v)
{
	int ret;

	while (!__atomic_load_n(&v->vm->stop, __ATOMIC_ACQUIRE)) {
		ret = ioctl(v->fd, KVM_RUN, 0);
		v->entries++;
		if (ret < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (ret < 0)
			return -errno;
		if (v->run->exit_reason == KVM_EXIT_HLT)
			return 0;
		if (v->run->exit_reason != KVM_EXIT_INTR)
			return -1000 - (int)v->run->exit_reason;
	}
	return 1;
}

int tvm_run(struct tvm *vm, int i)
{
	return enter(&vm->vcpu[i]);
}

static void *vcpu_thread(void *arg)
{
	struct tvm_vcpu *v = arg;
	int ret;

	if (v->cpus &&
	    syscall(SYS_sched_setaffinity, 0, sizeof(v->cpus), &v->cpus))
		v->error = errno;
	__atomic_store_n(&v->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	ret = enter(v);
	if (ret < 0)
		v->error = -ret;
	v->halted = ret == 0;
	return NULL;
}

int tvm_start(struct tvm *vm, int i)
{
	struct tvm_vcpu *v = &vm->vcpu[i];
	int ret;

	v->error = 0;
	v->halted = false;
	ret = pthread_create(&v->thread, NULL, vcpu_thread, v);
	v->started = !ret;
	return -ret;
}

int tvm_stop(struct tvm *vm)
{
	struct timespec ts = { 0, 1000000 };
	int i, err = 0;

	__atomic_store_n(&vm->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < vm->nr_vcpus; i++) {
		struct tvm_vcpu *v = &vm->vcpu[i];

		if (!v->started)
			continue;
		/* A kick between the check and KVM_RUN is lost: repeat. */
		v->run->immediate_exit = 1;
		do {
			pthread_kill(v->thread, SIG_KICK);
			nanosleep(&ts, NULL);
		} while (pthread_tryjoin_np(v->thread, NULL) == EBUSY);
		v->run->immediate_exit = 0;
		v->started = false;
		if (v->error && !err)
			err = v->error;
	}
	vm->stop = false;
	return err;
}

void tvm_destroy(struct tvm *vm)
{
	int i;

	tvm_stop(vm);
	for (i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpu[i].run)
			munmap(vm->vcpu[i].run, vm->vcpu[i].run_size);
		close(vm->vcpu[i].fd);
	}
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm >= 0)
		close(vm->kvm);
	if (vm->low)
		munmap(vm->low, LOW_SIZE);
	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
	vm->kvm = -1;
}
