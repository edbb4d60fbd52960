/* 6.12: a task that sleeps may stay queued for a while. */
#include <linux/sched.h>

bool f(struct task_struct *task);
bool f(struct task_struct *task)
{
	return task_is_runnable(task);
}
