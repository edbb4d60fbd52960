# SPDX-License-Identifier: GPL-2.0
KDIR ?= /lib/modules/$(shell uname -r)/build

help:
	@echo "see selftests/lab/lab help"

module:
	@if [ -x module/compat/probe.sh ]; then module/compat/probe.sh $(KDIR); fi
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tools selftests:
	@for dir in $@/*/; do if [ -e $$dir/Makefile ]; then $(MAKE) -C $$dir || exit 1; fi; done

.PHONY: help module tools selftests
