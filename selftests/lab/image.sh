# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The inner guest: a small Debian disk, Debian's kernel, an initramfs.
# Hosts see them at /guest; guest/start boots them.

image_modules=(virtio_net virtio_balloon qemu_fw_cfg igbvf 9p 9pnet_virtio
	kvm_amd kvm_intel tun overlay vfio-pci vfio_iommu_type1)

image_stamp() {
	{
		root_packages guest
		kernel_release trixie
		cat "$lab_dir/image.sh" "$lab_dir"/guest/{initramfs-init,init}
	} | sha256sum | cut -c1-16
}

image_get() {
	local dir=$cache/guest
	root_get trixie >/dev/null
	if [ "$(cat "$dir/stamp" 2>/dev/null)" != "$(image_stamp)" ]; then
		with_lock guest image_make >&2
	fi
	echo "$dir"
}

# Running hosts have the old files open or mapped: each is replaced whole.
image_make() {
	local release modules stamp tmp
	local -a packages

	stamp=$(image_stamp)
	[ "$(cat "$cache/guest/stamp" 2>/dev/null)" = "$stamp" ] && return
	say "making the inner guest's disk (about half a minute, 300 MB)"
	need_command mmdebstrap
	mapfile -t packages < <(root_packages guest)
	release=$(kernel_release trixie)
	modules=$(target_modules trixie)
	rm -rf "$cache"/guest.tmp.*
	tmp=$cache/guest.tmp.$$
	mkdir -p "$tmp" "$cache/guest"
	mmdebstrap --quiet --variant=minbase --components=main \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include="$(IFS=,; echo "${packages[*]}")" \
		trixie "$tmp/root"
	cp "$lab_dir/guest/init" "$tmp/root/usr/sbin/keel-guest"
	chmod +x "$tmp/root/usr/sbin/keel-guest"
	# shellcheck disable=SC2016
	in_root "$cache/root-trixie" "$tmp:scratch" -- sh -euc '
		release=$1
		shift
		dir=/scratch/root/usr/lib/modules/$release
		mkdir -p "$dir"
		cd "/usr/lib/modules/$release"
		modprobe -S "$release" --show-depends -a "$@" |
			sed -n "s,^insmod [^ ]*/modules/$release/,,p" | sort -u |
			xargs cp -t "$dir" --parents
		cp modules.builtin modules.builtin.modinfo modules.order "$dir"
		depmod -b /scratch/root "$release"
		truncate -s 1G /scratch/disk.img
		mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=0 -L guest \
			-d /scratch/root /scratch/disk.img
		tune2fs -j /scratch/disk.img >/dev/null
	' image "$release" "${image_modules[@]}"
	initramfs_make "$tmp/initrd" "$release" "$modules" "$lab_dir/guest/initramfs-init" \
		virtio_blk ext4
	cp "$cache/root-trixie/boot/vmlinuz-$release" "$tmp/vmlinuz"
	for file in disk.img initrd vmlinuz; do
		mv "$tmp/$file" "$cache/guest/$file"
	done
	echo "$stamp" >"$cache/guest/stamp"
	rm -rf --one-file-system "$tmp"
}
