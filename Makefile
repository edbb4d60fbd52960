# SPDX-License-Identifier: GPL-2.0
# keel: "make help" tells what there is.

KDIR	?= /lib/modules/$(shell uname -r)/build
KSRC	?= $(firstword $(wildcard /ks/linux-source-* /usr/src/linux-source-*))
LAB	:= selftests/lab/lab
export KSRC

help:
	@echo 'For this machine:'
	@echo '  make module [KDIR=DIR]   keel.ko, against the running kernel or KDIR'
	@echo '  make tools               the keel command'
	@echo '  make install [DESTDIR=]  both'
	@echo '  make clean'
	@echo 'In the lab, an emulated KVM host (needs root; the first time it makes'
	@echo 'Debian roots in ~/.cache/keel, some minutes and 4 GB):'
	@echo '  make demo                a guest is snapshotted, killed, and brought back;'
	@echo '                           placement and SR-IOV pools have an act each'
	@echo '  make shell               a shell on a host with keel loaded'
	@echo '  make check               lint, builds for 6.1, 6.12 and 7.3, selftests'
	@echo '  make check-soak          what takes too long for that: ten restores, a guest in'
	@echo '                           a guest, monitors that fall silent'
	@echo '  make check-debug         the selftests on a kernel with every checker'
	@echo '                           (the first time builds it: half an hour)'
	@echo '  make bench-snapshot      keel against QEMU background-snapshot; the results'
	@echo '                           go to Documentation/benchmarks'
	@echo '  make bench-placement     keel against AutoNUMA, numad and fixed placements'
	@echo '  make bench-sriov         keel against libvirt: VFs for VMs, and back'
	@echo '  make bench-dirq          keel against irqbalance: where interrupts go'
	@echo '  make lint                sparse, checkpatch, coccicheck, and the like'
	@echo '  selftests/run NAME...    single tests, of selftests/tests.list'

module:
	$(if $(wildcard module/compat/probe.sh),module/compat/probe.sh $(KDIR))
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tools:
	$(if $(wildcard tools/Makefile),$(MAKE) -C tools)

# The test programs; they run in the lab.
selftests:
	$(foreach m,$(wildcard selftests/*/Makefile),$(MAKE) -C $(dir $(m)) &&) true

install: module tools
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install
	$(if $(wildcard tools/Makefile),$(MAKE) -C tools install)

clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean
	rm -rf out module/compat/probed.h

lint:
	$(LAB) exec -- selftests/lab/lint

check:
	selftests/run check

check-soak:
	selftests/run soak

check-debug:
	selftests/run --target debug debug

demo:
	selftests/demo/demo

bench-snapshot:
	selftests/bench/bench-snapshot

bench-placement:
	selftests/bench/bench-placement

bench-sriov:
	selftests/bench/bench-sriov

bench-dirq:
	selftests/bench/bench-dirq

shell:
	$(LAB) shell

.PHONY: help module tools selftests install clean lint check check-soak check-debug demo bench-snapshot \
	bench-placement bench-sriov bench-dirq shell
