#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make the netlink headers and policy from specs/keel.yaml with the kernel's
# own generator, taken from an unpacked kernel source.
#   regen.sh KERNEL-SOURCE [OUT]    OUT defaults to the tree's top
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
src=${1:?usage: regen.sh KERNEL-SOURCE [OUT]}
out=${2:-$top}

# The generator looks upwards for a MAINTAINERS file to find its root.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tools/net" "$work/Documentation/netlink/specs"
touch "$work/MAINTAINERS"
cp -r "$src/tools/net/ynl" "$work/tools/net/"
cp "$src"/Documentation/netlink/*.yaml "$work/Documentation/netlink/"
cp "$top/Documentation/netlink/specs/keel.yaml" "$work/Documentation/netlink/specs/"
mkdir -p "$out/uapi/linux" "$out/module/core"

gen() {
	file=$1
	shift
	(cd "$work" && timeout 60 python3 tools/net/ynl/ynl-gen-c.py \
		--spec Documentation/netlink/specs/keel.yaml "$@" -o "${file##*/}")
	cp "$work/${file##*/}" "$out/$file"
}

gen uapi/linux/keel_netlink.h --mode uapi --header
gen module/core/netlink_gen.h --mode kernel --header
gen module/core/netlink_gen.c --mode kernel --source
