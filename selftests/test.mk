# SPDX-License-Identifier: GPL-2.0
#
# Rules of the test programs. A Makefile says what it has and includes this:
#
#   NAME    its directory under selftests
#   PROGS   programs, each of PROG.c and what LIB says
#   LIB     objects that all of them use, from here or from selftests/snapshot
#
# From the command line:
#
#   KSRC    a kernel source tree, for the kselftest harness
#   O       where the programs go

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
HERE := $(TOP)/selftests/$(NAME)
LIBDIR := $(TOP)/selftests/snapshot
O ?= $(TOP)/out/selftests/$(NAME)
KSRC ?= $(firstword $(wildcard /ks/linux-source-* /usr/src/linux-source-*))
KSELFTEST := $(KSRC)/tools/testing/selftests

CC ?= gcc
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Werror -pthread -MMD
override CFLAGS += -I$(TOP)/uapi -I$(LIBDIR) -isystem $(KSELFTEST)

all: $(addprefix $(O)/,$(PROGS))

vpath %.c $(HERE) $(LIBDIR)

$(O)/%.o: %.c | $(O)
	$(CC) $(CFLAGS) -c -o $@ $<

$(addprefix $(O)/,$(PROGS)): $(O)/%: $(O)/%.o $(addprefix $(O)/,$(LIB))
	$(CC) -pthread $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O):
	@test -f $(KSELFTEST)/kselftest_harness.h || \
		{ echo "KSRC=$(KSRC): no kselftest harness there" >&2; exit 1; }
	mkdir -p $@

clean:
	rm -rf $(O)

.PHONY: all clean
.SECONDARY:
-include $(wildcard $(O)/*.d)
