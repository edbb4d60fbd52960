# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The debug kernel: small, so that it builds in half an hour on two cores.

kernel_debug_dir() {
	echo "$cache/kernel-debug-$(sha256sum <"$lab_dir/debug.config" | cut -c1-12)"
}

kernel_debug_get() {
	local dir
	root_get trixie >/dev/null
	source_get >/dev/null
	dir=$(kernel_debug_dir)
	[ -e "$dir/vmlinuz" ] || with_lock kernel-debug kernel_debug_build >&2
	echo "$dir"
}

# Incremental after an interruption: the directory is complete once it has a
# vmlinuz, which comes last.
kernel_debug_build() {
	local dir
	dir=$(kernel_debug_dir)
	[ -e "$dir/vmlinuz" ] && return
	say "building the debug kernel in $dir (about half an hour on two cores)"
	mkdir -p "$dir/build"
	cp "$lab_dir/debug.config" "$dir/debug.config"
	# shellcheck disable=SC2016
	in_root "$cache/root-trixie" "$cache/src:ks" "$dir/build:kbuild" "$dir:scratch" -- sh -euc '
		cd "/ks/$1"
		export KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=keel
		if [ ! -e /kbuild/.config ]; then
			make -s O=/kbuild KCONFIG_ALLCONFIG=/scratch/debug.config allnoconfig
		fi
		grep "^CONFIG_.*=[^n]" /scratch/debug.config >/tmp/wanted
		if grep -vxF -f /kbuild/.config /tmp/wanted; then
			echo "lab: these of debug.config are not to be had"
			exit 1
		fi
		nice -n 19 make -s O=/kbuild -j "$(nproc)" bzImage modules
		make -s O=/kbuild INSTALL_MOD_PATH=/scratch modules_install
		cp /kbuild/arch/x86/boot/bzImage /scratch/vmlinuz.tmp
	' kernel "$ksrc_name"
	mv "$dir/vmlinuz.tmp" "$dir/vmlinuz"
}
