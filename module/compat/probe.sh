#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Find out what a kernel offers by compiling against its headers.
#   probe.sh KDIR
# For each probes/NAME.c that compiles, probed.h beside this script defines
# KEEL_HAVE_NAME. A probe's first comment says which change it detects; one
# that nobody needs is deleted.
set -eu

kdir=${1:?usage: probe.sh KDIR}
here=$(cd "$(dirname "$0")" && pwd)
out=$here/probed.h
stamp="/* $(readlink -f "$kdir"): $(cat "$0" "$here"/probes/*.c | cksum) */"

[ -f "$out" ] && [ "$(head -n 1 "$out")" = "$stamp" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp "$here"/probes/*.c "$work"
# Without this one working, a probe that fails says nothing.
echo '#include <linux/mm.h>' >"$work/any.c"
(cd "$work" && for f in *.c; do echo "obj-m += ${f%.c}.o"; done) >"$work/Kbuild"

# -k: those that do not compile are the answer.
(cd "$work" && for f in *.c; do echo "${f%.c}.o"; done) |
	xargs make -s -k -C "$kdir" M="$work" CFLAGS_MODULE=-Werror \
	>"$work/log" 2>&1 || :

if [ ! -f "$work/any.o" ]; then
	cat "$work/log" >&2
	echo "probe.sh: nothing compiles against $kdir" >&2
	exit 1
fi
rm "$work/any.c"

{
	echo "$stamp"
	for f in "$work"/*.c; do
		name=$(basename "$f" .c)
		[ ! -f "$work/$name.o" ] ||
			echo "#define KEEL_HAVE_$(echo "$name" | tr a-z A-Z) 1"
	done
} >"$out.tmp"
mv "$out.tmp" "$out"
