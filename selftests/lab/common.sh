# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What every part of the lab uses.

say() {
	printf 'lab: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# Ask for the machine's own packages only when something is missing.
need_command() {
	local command=$1 package=${2:-$1}

	command -v "$command" >/dev/null && return
	say "installing $package on this machine"
	apt-get install -y --no-install-recommends "$package" >&2 ||
		die "cannot install $package: install it by hand"
}

need_superuser() {
	[ "$(id -u)" = 0 ] || die "needs root, for chroot and mounts: use sudo"
}

# with_lock NAME COMMAND...: only one process at a time, among all clones.
with_lock() {
	local name=$1 fd
	shift
	mkdir -p "$cache"
	exec {fd}>"$cache/.lock-$name"
	if ! flock -n "$fd"; then
		say "waiting for another run that is making $name"
		flock "$fd"
	fi
	# The lock must not outlive us in a daemon that apt may start.
	eval '"$@"' "$fd>&-"
	exec {fd}>&-
}

# in_root ROOT [SRC:DST]... -- COMMAND...: run in a chroot. The mounts live in
# a namespace of their own, so nothing is left behind however this ends.
in_root() {
	local root=$1
	local -a binds=()
	shift
	while [ "$1" != -- ]; do
		binds+=("$1")
		shift
	done
	shift
	# The inner shell's variables, not ours.
	# shellcheck disable=SC2016
	unshare --mount --propagation private bash -euc '
		root=$1 n=$2
		shift 2
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount -t sysfs sysfs "$root/sys"
		mount -t tmpfs tmpfs "$root/tmp"
		while [ "$n" -gt 0 ]; do
			mount --bind "${1%%:*}" "$root/${1#*:}"
			shift
			n=$((n - 1))
		done
		cd /
		exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 \
			TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			${http_proxy:+http_proxy="$http_proxy"} \
			${https_proxy:+https_proxy="$https_proxy"} "$@"
	' in_root "$root" "${#binds[@]}" "${binds[@]}" "$@"
}
