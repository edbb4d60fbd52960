// SPDX-License-Identifier: GPL-2.0
/* The registry: entries, and how they come and go. vm.h has the idea. */
#include <linux/kvm_host.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "core/keel.h"
#include "core/netlink.h"
#include "core/trace.h"
#include "core/vm.h"
#include "compat/compat.h"

/* Protects the list, the numbering and the entries' .seen. */
static DEFINE_MUTEX(keel_vms_lock);
static LIST_HEAD(keel_vms);
static u32 keel_vms_last_id;
static u32 keel_vms_nr;

BLOCKING_NOTIFIER_HEAD(keel_vms_chain);

/* Where KVM's uevents arrive; NULL from keel_vms_stop() on. */
static struct socket *keel_vms_sock;
/* Protects the pointer, and serializes receiving. */
static DEFINE_MUTEX(keel_vms_sock_lock);
static void keel_vms_work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(keel_vms_work, keel_vms_work_fn);

/*
 * A uevent is sent just before the new VM's file can be found. A look after
 * that many milliseconds finds it, or it is one that was gone again at once.
 * When as many are found as were told of, only the last look is left to do; it
 * is there for a VM that came from elsewhere and was taken for the new one.
 * The rest of this block belongs to the work.
 */
static const unsigned int keel_vms_look_ms[] = { 1, 10, 100, 1000 };
#define KEEL_VMS_LOOKS		ARRAY_SIZE(keel_vms_look_ms)
static unsigned int keel_vms_look = KEEL_VMS_LOOKS;	/* the next one */
static unsigned long keel_vms_due;	/* when it is to be, in jiffies */
static unsigned int keel_vms_missing;	/* told of, and not found yet */

/* There may be some that no uevent will tell of. */
static bool keel_vms_lost;

#define KEEL_UEVENT_MAX		2048	/* UEVENT_BUFFER_SIZE */

static void keel_vm_free(struct kref *ref)
{
	struct keel_vm *vm = container_of(ref, struct keel_vm, ref);

	put_pid(vm->pid);
	kfree(vm);
}

/**
 * keel_vm_put - drop a reference to an entry
 * @vm: the entry
 *
 * Context: any.
 */
void keel_vm_put(struct keel_vm *vm)
{
	kref_put(&vm->ref, keel_vm_free);
}

/**
 * keel_vm_holder - who has a VM open
 * @vm: the entry
 * @comm: (out) the thread group's name, or NULL
 *
 * Context: may sleep; takes keel_vms_lock.
 * Return: the thread group's number, 0 if it is no more.
 */
pid_t keel_vm_holder(struct keel_vm *vm, char comm[TASK_COMM_LEN])
{
	pid_t pid;

	mutex_lock(&keel_vms_lock);
	pid = pid_nr(vm->pid);
	if (comm)
		strscpy(comm, vm->comm, TASK_COMM_LEN);
	mutex_unlock(&keel_vms_lock);
	return pid;
}

/**
 * keel_vm_leader_get - the first thread of who has a VM open
 * @vm: the entry
 *
 * Context: may sleep; takes keel_vms_lock.
 * Return: the thread, with a reference; NULL if it is no more.
 */
struct task_struct *keel_vm_leader_get(struct keel_vm *vm)
{
	struct task_struct *leader;

	mutex_lock(&keel_vms_lock);
	leader = get_pid_task(vm->pid, PIDTYPE_TGID);
	mutex_unlock(&keel_vms_lock);
	return leader;
}

/* What KVM calls a VM; the file in @found keeps it from changing. */
static const char *keel_vm_found_name(const struct keel_vm_found *found)
{
	struct dentry *dentry = found->kvm->debugfs_dentry;

	return IS_ERR_OR_NULL(dentry) ? "" : (const char *)dentry->d_name.name;
}

static struct keel_vm *keel_vm_create(const struct keel_vm_found *found)
{
	struct keel_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL);

	if (!vm)
		return NULL;
	kref_init(&vm->ref);
	vm->cookie = found->kvm;
	vm->pid = get_pid(found->pid);
	vm->seen = true;
	strscpy(vm->comm, found->comm, sizeof(vm->comm));
	strscpy(vm->name, keel_vm_found_name(found), sizeof(vm->name));
	return vm;
}

static void keel_vm_trace(struct keel_vm *vm, bool gone)
{
	trace_keel_vm(vm->id, keel_vm_holder(vm, NULL), gone);
}

/* Announce and drop entries that were taken off the registry. */
static void keel_vms_bury(struct list_head *gone)
{
	struct keel_vm *vm, *next;
	bool any = !list_empty(gone);

	list_for_each_entry_safe(vm, next, gone, node) {
		list_del(&vm->node);
		keel_vm_trace(vm, true);
		keel_nl_notify(KEEL_CMD_VM_DEL_NTF, keel_vm_fill_gone, vm);
		keel_vm_put(vm);
	}
	if (any)
		blocking_notifier_call_chain(&keel_vms_chain, 0, NULL);
}

/* By name, too: an address may serve again before its first VM is buried. */
static struct keel_vm *__keel_vm_find(const struct keel_vm_found *found)
{
	struct keel_vm *vm;

	lockdep_assert_held(&keel_vms_lock);
	list_for_each_entry(vm, &keel_vms, node)
		if (vm->cookie == found->kvm &&
		    !strcmp(vm->name, keel_vm_found_name(found)))
			return vm;
	return NULL;
}

/* Enter one VM; a reference to it in *fresh if it is new. */
static int __keel_vms_enter(const struct keel_vm_found *found,
			    struct keel_vm **fresh)
{
	struct keel_vm *vm = __keel_vm_find(found);

	if (vm) {
		vm->seen = true;
		/* Its first holder may have handed it on. */
		if (vm->pid != found->pid) {
			put_pid(vm->pid);
			vm->pid = get_pid(found->pid);
			strscpy(vm->comm, found->comm, sizeof(vm->comm));
		}
		return 0;
	}

	vm = keel_vm_create(found);
	if (!vm)
		return -ENOMEM;
	vm->id = ++keel_vms_last_id;
	keel_vms_nr++;
	list_add_tail(&vm->node, &keel_vms);
	kref_get(&vm->ref);
	*fresh = vm;
	return 0;
}

/*
 * Bring the registry up to date. The scan holds a file of each VM it found
 * until they are entered: one that is destroyed later is told of later.
 * Return: VMs that were new; -ENOMEM if there may be more.
 */
static int keel_vms_scan(void)
{
	struct keel_vm_found *found;
	struct keel_vm *vm, *next, **fresh;
	LIST_HEAD(gone);
	size_t nr, i;
	int count = 0, err;

	mutex_lock(&keel_vms_lock);
	err = keel_vm_scan(&found, &nr);
	if (err)
		goto unlock;
	fresh = kvcalloc(nr + 1, sizeof(*fresh), GFP_KERNEL);
	if (!fresh) {
		keel_vm_found_free(found, nr);
		err = -ENOMEM;
		goto unlock;
	}

	list_for_each_entry(vm, &keel_vms, node)
		vm->seen = false;
	for (i = 0; i < nr; i++)
		err = __keel_vms_enter(&found[i], &fresh[i]) ?: err;
	list_for_each_entry_safe(vm, next, &keel_vms, node) {
		if (vm->seen)
			continue;
		list_move_tail(&vm->node, &gone);
		keel_vms_nr--;
	}
	mutex_unlock(&keel_vms_lock);

	keel_vms_bury(&gone);
	for (i = 0; i < nr; i++) {
		if (!fresh[i])
			continue;
		count++;
		keel_vm_trace(fresh[i], false);
		keel_nl_notify(KEEL_CMD_VM_NEW_NTF, keel_vm_fill, fresh[i]);
		keel_vm_put(fresh[i]);
	}
	if (count)
		blocking_notifier_call_chain(&keel_vms_chain, 0, NULL);
	kvfree(fresh);
	keel_vm_found_free(found, nr);
	return err ?: count;

unlock:
	mutex_unlock(&keel_vms_lock);
	return err;
}

/* KVM said that the VM it named so is being destroyed. */
static void keel_vms_destroyed(const char *name)
{
	struct keel_vm *vm, *next;
	LIST_HEAD(gone);

	mutex_lock(&keel_vms_lock);
	list_for_each_entry_safe(vm, next, &keel_vms, node) {
		if (!vm->name[0] || strcmp(vm->name, name))
			continue;
		list_move_tail(&vm->node, &gone);
		keel_vms_nr--;
	}
	mutex_unlock(&keel_vms_lock);
	keel_vms_bury(&gone);
}

/* The value of a variable in a uevent: strings, one after the other. */
static const char *keel_uevent_get(const char *buf, size_t len, const char *var)
{
	size_t n = strlen(var);
	const char *p;

	for (p = buf; p < buf + len; p += strlen(p) + 1)
		if (!strncmp(p, var, n) && p[n] == '=')
			return p + n + 1;
	return NULL;
}

static void keel_vms_uevent(const char *buf, size_t len)
{
	const char *path = keel_uevent_get(buf, len, "STATS_PATH");
	const char *event = keel_uevent_get(buf, len, "EVENT");
	const char *dev = keel_uevent_get(buf, len, "DEVNAME");

	if (!event || !dev || strcmp(dev, "kvm"))
		return;
	if (!strcmp(event, "create"))
		keel_vms_missing++;
	else if (strcmp(event, "destroy"))
		return;
	else if (path && strrchr(path, '/'))
		keel_vms_destroyed(strrchr(path, '/') + 1);
	else
		keel_vms_lost = true;	/* one that has no name: look */
}

/* One message off the socket. Return: false if there is none. */
static bool keel_vms_receive(char *buf)
{
	lockdep_assert_held(&keel_vms_sock_lock);
	struct sockaddr_nl from = {};
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from),
			      .msg_flags = MSG_DONTWAIT };
	struct kvec vec = { .iov_base = buf, .iov_len = KEEL_UEVENT_MAX };
	int len = kernel_recvmsg(keel_vms_sock, &msg, &vec, 1, vec.iov_len,
				 MSG_DONTWAIT);

	if (len == -ENOBUFS) {
		/* Some were lost: only a look tells. */
		keel_vms_lost = true;
		return true;
	}
	if (len <= 0)
		return false;
	buf[len] = '\0';
	/* From the kernel, not from a process that may send to the group. */
	if (!from.nl_pid)
		keel_vms_uevent(buf, len);
	return true;
}

/* Take in what has arrived. */
static void keel_vms_receive_all(char *buf)
{
	mutex_lock(&keel_vms_sock_lock);
	while (keel_vms_sock && keel_vms_receive(buf))
		cond_resched();
	mutex_unlock(&keel_vms_sock_lock);
}

/* The next look is number @look of the table. */
static void keel_vms_plan(unsigned int look)
{
	keel_vms_look = look;
	if (look < KEEL_VMS_LOOKS)
		keel_vms_due = jiffies + msecs_to_jiffies(keel_vms_look_ms[look]);
	else
		keel_vms_missing = 0;
}

static void keel_vms_do_look(void)
{
	int ret = keel_vms_scan();
	unsigned int found = ret;

	if (ret < 0) {
		/* Memory is short: the same look once more, later. */
		keel_vms_due = jiffies + HZ;
		return;
	}
	if (keel_vms_look == KEEL_VMS_LOOKS - 1 || found < keel_vms_missing) {
		keel_vms_missing -= min(found, keel_vms_missing);
		keel_vms_plan(keel_vms_look + 1);
	} else {
		keel_vms_missing = 0;
		keel_vms_plan(KEEL_VMS_LOOKS - 1);
	}
}

static void keel_vms_work_fn(struct work_struct *work)
{
	char *buf = kmalloc(KEEL_UEVENT_MAX + 1, GFP_KERNEL);
	unsigned int missing = keel_vms_missing;
	bool news;

	if (!buf) {
		queue_delayed_work(keel_wq, &keel_vms_work, HZ);
		return;
	}
	keel_vms_receive_all(buf);
	kfree(buf);

	news = keel_vms_missing > missing;
	if (xchg(&keel_vms_lost, false)) {
		keel_vms_missing = INT_MAX;
		news = true;
	}
	/* A first look that is planned already is not put off, lest it never be. */
	if (news && keel_vms_look)
		keel_vms_plan(0);
	/* Uevents of others get here, too. */
	if (keel_vms_look < KEEL_VMS_LOOKS && !time_before(jiffies, keel_vms_due))
		keel_vms_do_look();
	if (keel_vms_look < KEEL_VMS_LOOKS)
		queue_delayed_work(keel_wq, &keel_vms_work,
				   max_t(long, keel_vms_due - jiffies, 0));
}

/*
 * In the context of who sent the uevent: may not sleep. Also told when one could not
 * be delivered: with nothing to read, and until the error is read, no other is.
 */
static void keel_vms_sock_data(struct sock *sk)
{
	mod_delayed_work(keel_wq, &keel_vms_work, 0);
}

/**
 * keel_vms_count - VMs in the registry
 *
 * Context: any.
 */
u32 keel_vms_count(void)
{
	return READ_ONCE(keel_vms_nr);
}

/**
 * keel_vm_next - walk the registry in order of the numbers
 * @after: number of the last one seen, 0 to start
 *
 * Context: may sleep.
 * Return: the next entry with a reference, or NULL.
 */
struct keel_vm *keel_vm_next(u32 after)
{
	struct keel_vm *vm, *found = NULL;

	mutex_lock(&keel_vms_lock);
	list_for_each_entry(vm, &keel_vms, node) {
		if (vm->id > after) {
			kref_get(&vm->ref);
			found = vm;
			break;
		}
	}
	mutex_unlock(&keel_vms_lock);
	return found;
}

/**
 * keel_vm_lookup - find an entry by its number
 * @id: the number
 *
 * Context: may sleep.
 * Return: the entry with a reference, or NULL.
 */
struct keel_vm *keel_vm_lookup(u32 id)
{
	struct keel_vm *vm = id ? keel_vm_next(id - 1) : NULL;

	if (vm && vm->id != id) {
		keel_vm_put(vm);
		vm = NULL;
	}
	return vm;
}

/**
 * keel_vms_init - open the ear for KVM's uevents
 *
 * Return: 0, or what the socket layer said.
 */
int keel_vms_init(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int err;

	err = sock_create_kern(&init_net, AF_NETLINK, SOCK_RAW,
			       NETLINK_KOBJECT_UEVENT, &keel_vms_sock);
	if (err)
		return err;

	err = kernel_bind(keel_vms_sock, keel_sockaddr(&addr), sizeof(addr));
	if (err)
		keel_vms_stop();
	return err;
}

/**
 * keel_vms_start - find the VMs that are there, and listen for others
 *
 * Last in module init: events are announced from here on.
 */
void keel_vms_start(void)
{
	struct sock *sk = keel_vms_sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = keel_vms_sock_data;
	sk->sk_error_report = keel_vms_sock_data;
	write_unlock_bh(&sk->sk_callback_lock);

	if (keel_vms_scan() < 0)
		WRITE_ONCE(keel_vms_lost, true);
	/* What arrived before the callback was there. */
	queue_delayed_work(keel_wq, &keel_vms_work, 0);
}

/**
 * keel_vms_stop - no more events
 *
 * Releasing the socket waits for senders, so that none is in the callback any
 * more; what they queued goes after that.
 *
 * Context: may sleep. Does nothing the second time.
 */
void keel_vms_stop(void)
{
	struct socket *sock;

	mutex_lock(&keel_vms_sock_lock);
	sock = keel_vms_sock;
	keel_vms_sock = NULL;
	mutex_unlock(&keel_vms_sock_lock);
	if (!sock)
		return;
	sock_release(sock);
	cancel_delayed_work_sync(&keel_vms_work);
}

/**
 * keel_vms_exit - the mirror of keel_vms_init()
 *
 * No netlink request can be in flight any more.
 */
void keel_vms_exit(void)
{
	struct keel_vm *vm, *next;

	keel_vms_stop();
	list_for_each_entry_safe(vm, next, &keel_vms, node) {
		list_del(&vm->node);
		keel_vm_put(vm);
	}
}
