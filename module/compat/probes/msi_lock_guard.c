/* 6.16: the lock of a device's message interrupts is taken by a guard. */
#include <linux/msi.h>

void f(struct device *dev);
void f(struct device *dev)
{
	__msi_lock_descs(dev);
}
