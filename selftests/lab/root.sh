# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Debian roots. mmdebstrap chooses the mirror; none is named here.

root_packages() {
	sed 's/#.*//' "$lab_dir/packages.$1" | tr -s ' \n' '\n' | grep .
}

root_stamp() {
	root_packages "$1" | sort | sha256sum | cut -c1-16
}

root_get() {
	local suite=$1 root=$cache/root-$1

	[ -f "$lab_dir/packages.$suite" ] || die "no such root: $suite"
	need_superuser
	if [ "$(cat "$root/.keel-stamp" 2>/dev/null)" != "$(root_stamp "$suite")" ]; then
		with_lock "root-$suite" root_make "$suite" >&2
	fi
	echo "$root"
}

root_make() {
	local suite=$1 root=$cache/root-$1 stamp
	local -a packages

	stamp=$(root_stamp "$suite")
	[ "$(cat "$root/.keel-stamp" 2>/dev/null)" = "$stamp" ] && return
	mapfile -t packages < <(root_packages "$suite")
	if [ -d "$root" ]; then
		say "adding packages to $root"
		in_root "$root" /etc/resolv.conf:etc/resolv.conf -- \
			sh -c 'apt-get update -q && exec apt-get install -qy --no-install-recommends "$@"' \
			apt "${packages[@]}"
	else
		say "making a Debian $suite root in $root (about 1 minute, 1.5 GB)"
		need_command mmdebstrap
		rm -rf --one-file-system "$root".tmp.*
		# Hosts boot with an initramfs of their own; a kernel's takes half of the time.
		INITRD=No mmdebstrap --quiet --variant=minbase --components=main \
			--aptopt='APT::Install-Recommends "false"' \
			--skip=cleanup/apt/lists \
			--include="$(IFS=,; echo "${packages[*]}")" \
			"$suite" "$root.tmp.$$"
		mv "$root.tmp.$$" "$root"
	fi
	mkdir -p "$root/keel" "$root/ks" "$root/log" "$root/kbuild" "$root/scratch" "$root/emulator"
	echo "$stamp" >"$root/.keel-stamp"
}

# The newest kernel lives in a suite next to trixie: its line is made from the
# root's own, and only that kernel is taken from it.
root_backports_get() {
	local root
	root=$(root_get trixie)
	[ -e "$root/.keel-backports" ] || with_lock root-trixie root_backports_add "$root" >&2
}

root_backports_add() {
	local root=$1

	[ -e "$root/.keel-backports" ] && return
	say "adding the backports kernel to $root (about 1 minute)"
	in_root "$root" /etc/resolv.conf:etc/resolv.conf -- sh -euc '
		export INITRD=No
		sed -n "s/ trixie main$/ trixie-backports main/p" /etc/apt/sources.list \
			>/etc/apt/sources.list.d/backports.list
		apt-get update -q
		version=$(apt-cache madison linux-image-amd64 |
			awk "/-backports/ { print \$3; exit }")
		image=$(apt-cache show "linux-image-amd64=$version" |
			grep -o -m 1 "linux-image-[0-9][^ ,]*" | head -n 1)
		[ -n "$image" ] || { echo "no kernel found in backports"; exit 1; }
		apt-get install -qy --no-install-recommends -t trixie-backports \
			"$image" "linux-headers-${image#linux-image-}"
	'
	touch "$root/.keel-backports"
}

# The packaged kernel source: checkpatch, coccinelle scripts, the kselftest
# harness, the netlink generator, and what the debug kernel is built from.
source_get() {
	local root
	root=$(root_get trixie)
	[ -d "$cache/src/$ksrc_name" ] || with_lock source source_unpack "$root" >&2
	echo "$cache/src/$ksrc_name"
}

source_unpack() {
	local tmp=$cache/src.tmp.$$

	[ -d "$cache/src/$ksrc_name" ] && return
	say "unpacking $ksrc_name (about half a minute, 1.6 GB)"
	rm -rf "$cache"/src.tmp.*
	mkdir -p "$tmp" "$cache/src"
	tar -C "$tmp" -xf "$1/usr/src/$ksrc_name.tar.xz"
	mv "$tmp/$ksrc_name" "$cache/src/"
	rmdir "$tmp"
}

# kernel_release TARGET: the newest installed kernel that is TARGET's.
kernel_release() {
	local modules
	modules=$(target_modules "$1")
	case $1 in
	trixie)		ls "$modules" | grep '^6\.12\.' ;;
	bookworm)	ls "$modules" | grep '^6\.1\.' ;;
	backports)	ls "$modules" | grep -v '^6\.12\.' ;;
	debug)		ls "$modules" ;;
	esac | sort -V | tail -n 1
}

# target_modules TARGET: the directory that is the host's /lib/modules.
target_modules() {
	case $1 in
	trixie|backports)	echo "$cache/root-trixie/lib/modules" ;;
	bookworm)		echo "$cache/root-bookworm/lib/modules" ;;
	debug)			echo "$(kernel_debug_dir)/lib/modules" ;;
	esac
}

# target_get TARGET: have everything that TARGET needs.
target_get() {
	root_get trixie >/dev/null
	source_get >/dev/null
	case $1 in
	trixie)		;;
	bookworm)	root_get bookworm >/dev/null ;;
	backports)	root_backports_get ;;
	debug)		kernel_debug_get >/dev/null ;;
	*)		die "no such target: $1" ;;
	esac
}
