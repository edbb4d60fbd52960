# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The emulator of the hosts: the root's QEMU, built again from its packaged
# source and mended (emulator/*.cocci say what and why). What runs on the hosts is
# the packaged one. Nothing of this is needed with hardware virtualization.

emulator_build=(--target-list=x86_64-softmmu --without-default-features
	--enable-system --enable-tcg --enable-slirp --enable-virtfs --enable-attr
	--without-default-devices --with-devices-x86_64=lab
	--disable-docs --disable-debug-info --disable-install-blobs --disable-download
	--firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu)
# What the machines of boot.sh have, and then what PXB and IGB use without asking for it.
emulator_devices=(Q35 PCIE_PORT VTD VIRTIO_PCI VIRTIO_NET VIRTIO_BLK VIRTIO_9P VIRTIO_RNG
	VIRTIO_SERIAL SERIAL_ISA DIMM PXB IGB_PCI_EXPRESS)
emulator_devices+=(CXL CXL_MEM_DEVICE E1000E_PCI_EXPRESS)
emulator_mended=(
	"ignne.cocci target/i386/tcg/system/fpu_helper.c"
	"vmrun.cocci target/i386/tcg/system/svm_helper.c"
	"tlb.cocci accel/tcg/cputlb.c"
	"asid.cocci target/i386/tcg/system/svm_helper.c"
	"mmio.cocci system/physmem.c"
	"slow.cocci system/cpu-timers.c"
	"igb.cocci hw/net/igb_core.c")

emulator_dir() {
	{
		echo "${emulator_build[*]} ${emulator_devices[*]} ${emulator_mended[*]}"
		cat "$lab_dir"/emulator/*.cocci
		# shellcheck disable=SC2016
		dpkg-query --admindir="$cache/root-trixie/var/lib/dpkg" \
			-W -f '${source:Version}' qemu-system-x86
	} | sha256sum | echo "$cache/emulator-$(cut -c1-12)"
}

emulator_get() {
	local dir
	root_get trixie >/dev/null
	dir=$(emulator_dir)
	[ -e "$dir/qemu-system-x86_64" ] || with_lock emulator emulator_make >&2
	echo "$dir"
}

emulator_make() {
	local dir tmp jobs
	dir=$(emulator_dir)
	[ -e "$dir/qemu-system-x86_64" ] && return
	say "building the emulator in $dir (about 2 minutes on two cores)"
	rm -rf "$cache"/emulator.tmp.*
	tmp=$cache/emulator.tmp.$$
	jobs=$(nproc)
	mkdir -p "$tmp/build" "$dir"
	cp "$lab_dir"/emulator/*.cocci "$tmp/"
	emulator_source "$tmp" || die "the source of QEMU cannot be had"
	printf '%s\n' "${emulator_mended[@]}" >"$tmp/mended"
	printf 'CONFIG_%s=y\n' "${emulator_devices[@]}" >"$tmp/source/configs/devices/x86_64-softmmu/lab.mak"
	# shellcheck disable=SC2016
	in_root "$cache/root-trixie" "$tmp:scratch" -- sh -euc '
		jobs=$1
		shift
		cd /scratch/source
		while read -r patch file; do
			cp "$file" "$file.before"
			spatch --very-quiet --in-place --sp-file "../$patch" "$file" >../log 2>&1 ||
				{ cat ../log; exit 1; }
			if cmp -s "$file" "$file.before"; then
				echo "lab: $patch changed nothing: is it mended upstream?"
				exit 1
			fi
		done <../mended
		cd ../build
		../source/configure "$@" >log 2>&1 || { tail -n 30 log; exit 1; }
		ninja -j "$jobs" qemu-system-x86_64 >log 2>&1 || { tail -n 30 log; exit 1; }
		strip -o ../qemu-system-x86_64 qemu-system-x86_64
	' emulator "$jobs" "${emulator_build[@]}"
	mv "$tmp/qemu-system-x86_64" "$dir/"
	rm -rf --one-file-system "$tmp"
}

# emulator_source TMP: unpack the source of the root's QEMU in TMP/source. The
# root's own lists have no source lines: others are made from them, here.
emulator_source() {
	# shellcheck disable=SC2016
	in_root "$cache/root-trixie" /etc/resolv.conf:etc/resolv.conf "$1:scratch" -- sh -euc '
		mkdir -p /scratch/apt/lists/partial /scratch/source
		cd /scratch/apt
		sed -n "s/^deb /deb-src /p" /etc/apt/sources.list >sources.list
		version=$(dpkg-query -W -f "\${source:Version}" qemu-system-x86)
		set -- -q -o Dir::Etc::SourceList=/scratch/apt/sources.list \
			-o Dir::Etc::SourceParts=- -o Dir::State::Lists=/scratch/apt/lists \
			-o APT::Sandbox::User=root
		{
			apt-get "$@" update &&
			apt-get "$@" --only-source --download-only source "qemu=$version"
		} >../log 2>&1 || { cat ../log; exit 1; }
		tar -C ../source --strip-components=1 -xf ./*.orig.tar.*
	'
}
