# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Building the clone, out of place and incrementally.

build_dir() {
	echo "$cache/build/$(echo "$top" | sha256sum | cut -c1-12)/$1"
}

# build_make TARGET MAKE-ARGS...: in the built tree. Only the module is made in
# TARGET's own root: the hosts of all targets have the userland of trixie.
build_make() {
	local target=$1 dir
	shift
	dir=$(build_dir "$target")
	case $target in
	bookworm)
		in_root "$cache/root-bookworm" "$dir:keel" -- "$@" ;;
	debug)
		in_root "$cache/root-trixie" "$dir:keel" "$cache/src:ks" \
			"$(kernel_debug_dir)/build:kbuild" -- "$@" ;;
	*)
		in_root "$cache/root-trixie" "$dir:keel" "$cache/src:ks" -- "$@" ;;
	esac
}

build_kdir() {
	case $1 in
	debug)	echo /kbuild ;;
	*)	echo "/lib/modules/$(kernel_release "$1")/build" ;;
	esac
}

build_sync() {
	local target=$1 dir
	dir=$(build_dir "$target")
	mkdir -p "$dir"
	# Ignored files are products: neither copied from the clone nor deleted.
	in_root "$cache/root-trixie" "$top:scratch" "$dir:keel" -- \
		rsync -a --delete --exclude=/.git --filter=':- .gitignore' /scratch/ /keel/
}

build_locked() {
	local target=$1 jobs
	jobs=$(nproc)
	build_sync "$target"
	if [ -f "$top/Kbuild" ]; then
		build_make "$target" make -s -j "$jobs" -C /keel module \
			KDIR="$(build_kdir "$target")"
	fi
	in_root "$cache/root-trixie" "$(build_dir "$target"):keel" "$cache/src:ks" -- \
		make -s -j "$jobs" -C /keel tools selftests KSRC="/ks/$ksrc_name"
}

build_target() {
	target_get "$1"
	with_lock "build-$(build_dir "$1" | tr / -)" build_locked "$1" >&2
	build_dir "$1"
}

# build_exec [TARGET] -- COMMAND...: for lint and the like.
build_exec() {
	local target=trixie
	if [ "$1" != -- ]; then
		target=$1
		shift
	fi
	[ "$1" = -- ] || die "usage: lab exec [TARGET] -- COMMAND..."
	shift
	target_get "$target"
	with_lock "build-$(build_dir "$target" | tr / -)" build_sync "$target" >&2
	# The lock is gone before the command runs, which may be long.
	# shellcheck disable=SC2016
	build_make "$target" sh -c 'cd /keel && exec "$@"' exec "$@"
}
