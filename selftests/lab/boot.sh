# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Booting the emulated host: QEMU of the trixie root, the root itself as a read
# only 9p file system with a tmpfs over it, a small initramfs that mounts them.

boot_cpus=2
boot_mem=3G
boot_numa=
boot_distance=
boot_hmat=
boot_dimm=
boot_igb=0
boot_acs=
boot_iommu=0
boot_net=
boot_net_host=0
boot_gdb=0
boot_timeout=300
boot_slower=1
boot_log=
boot_keel=1
boot_build=1
boot_append=
boot_shell=0
boot_target=trixie
boot_disks=()
boot_qemu=()

boot_options() {
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		case $1 in
		--no-keel)	boot_keel=0; shift; continue ;;
		--no-build)	boot_build=0; shift; continue ;;
		--iommu)	boot_iommu=1; shift; continue ;;
		--no-acs)	boot_acs=,disable-acs=on; shift; continue ;;
		--gdb)		boot_gdb=1; shift; continue ;;
		--shell)	boot_shell=1; boot_timeout=86400; shift; continue ;;
		esac
		[ $# -gt 1 ] || die "$1: unknown, or lacks its value (see lab help)"
		case $1 in
		--target)	boot_target=$2 ;;
		--cpus)		boot_cpus=$2 ;;
		--mem)		boot_mem=$2 ;;
		--numa)		boot_numa=$2 ;;
		--distance)	boot_distance=$2 ;;
		--hmat)		boot_hmat=$2 ;;
		--dimm)		boot_dimm=$2 ;;
		--igb)		boot_igb=$2; boot_iommu=1 ;;
		--net)		boot_net=$2 ;;
		--timeout)	boot_timeout=$2 ;;
		--slower)	boot_slower=$2 ;;
		--log)		boot_log=$2 ;;
		--append)	boot_append+=" $2" ;;
		--disk)		boot_disks+=("$2") ;;
		*)		die "$1: unknown option (see lab help)" ;;
		esac
		shift 2
	done
	[ "${1:-}" = -- ] && shift
	boot_command=("$@")
	[ $boot_shell = 1 ] || [ $# -gt 0 ] || die "run: no command after --"
}

boot_vmlinuz() {
	case $boot_target in
	debug)		echo "$(kernel_debug_dir)/vmlinuz" ;;
	bookworm)	echo "$cache/root-bookworm/boot/vmlinuz-$1" ;;
	*)		echo "$cache/root-trixie/boot/vmlinuz-$1" ;;
	esac
}

# initramfs_make OUT RELEASE MODULES-DIR INIT MODULE...: busybox, INIT as
# /init, and the modules with what they depend on, in loading order.
initramfs_make() {
	local out=$1 release=$2 modules=$3 init=$4 tmp
	shift 4
	tmp=$(mktemp -d "$cache/.initramfs.XXXXXX")
	mkdir -p "$tmp/bin" "$tmp/lib" "$tmp/proc" "$tmp/sys" "$tmp/dev" "$tmp/mnt"
	cp "$cache/root-trixie/usr/bin/busybox" "$tmp/bin/"
	cp "$init" "$tmp/init"
	chmod +x "$tmp/init"
	# shellcheck disable=SC2016
	in_root "$cache/root-trixie" "$modules:usr/lib/modules" "$tmp:scratch" -- sh -euc '
		release=$1
		shift
		modprobe -S "$release" --show-depends -a "$@" |
		awk "\$1 == \"insmod\" && !seen[\$2]++ { print \$2 }" |
		while read -r path; do
			file=${path##*/}
			case $file in
			*.xz)	xz -dc "$path" >"/scratch/lib/${file%.xz}"; file=${file%.xz} ;;
			*.zst)	zstd -qdc "$path" >"/scratch/lib/${file%.zst}"; file=${file%.zst} ;;
			*)	cp "$path" /scratch/lib/ ;;
			esac
			echo "$file"
		done >/scratch/lib/order
		cd /scratch
		find . | cpio -o -H newc --quiet | zstd -q -1 >/tmp/out
		cp /tmp/out /scratch/out
	' initramfs "$release" "$@"
	mv "$tmp/out" "$out.tmp.$$"
	rm -rf "$tmp"
	mv "$out.tmp.$$" "$out"
}

boot_initramfs() {
	local release=$1 modules=$2 out init=$lab_dir/host/initramfs-init
	out=$cache/boot/$release-$(cat "$init" "$lab_dir/boot.sh" | sha256sum | cut -c1-12).img
	if [ ! -e "$out" ] || [ "$modules/$release/modules.dep" -nt "$out" ]; then
		mkdir -p "$cache/boot"
		initramfs_make "$out" "$release" "$modules" "$init" \
			virtio_pci 9pnet_virtio 9p overlay
	fi
	echo "$out"
}

# A /dev/kvm that opens proves nothing: ask a guest to boot on it, once for
# each boot of this machine.
boot_accel() {
	local vmlinuz=$1 initrd=$2 verdict log
	verdict=$cache/accel-$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -e "$verdict" ]; then
		rm -f "$cache"/accel-*
		log=$(mktemp "$cache/.probe.XXXXXX")
		if [ -w /dev/kvm ]; then
			in_root "$cache/root-trixie" "$cache:scratch" -- \
				timeout 20 qemu-system-x86_64 -accel kvm -cpu host -m 512M \
				-machine q35 -nodefaults -display none -no-reboot \
				-kernel "/scratch/${vmlinuz#"$cache/"}" -initrd "/scratch/${initrd#"$cache/"}" \
				-append "console=ttyS0 panic=-1 keel.probe" \
				-serial stdio </dev/null >"$log" 2>&1 || true
		fi
		if grep -q 'keel probe: ran' "$log" && grep -qsE '^[1Y]' \
		   /sys/module/kvm_amd/parameters/nested /sys/module/kvm_intel/parameters/nested; then
			echo kvm >"$verdict"
		else
			echo tcg >"$verdict"
		fi
		rm -f "$log"
	fi
	cat "$verdict"
}

# What a boot stands on: sets release, modules, vmlinuz, initrd, accel and emulator.
boot_parts() {
	target_get "$boot_target"
	# Every host sees the inner guest at /guest.
	image_get >/dev/null
	release=$(kernel_release "$boot_target")
	modules=$(target_modules "$boot_target")
	vmlinuz=$(boot_vmlinuz "$release")
	initrd=$(with_lock "boot-$release" boot_initramfs "$release" "$modules")
	accel=$(boot_accel "$vmlinuz" "$initrd")
	if [ "$accel" = kvm ]; then
		emulator=$cache/root-trixie/usr/bin
	else
		emulator=$(emulator_get)
	fi
}

# Make all that now, for those who have no time for it later.
boot_setup() {
	local release modules vmlinuz initrd accel emulator
	boot_parts
}

boot_add_numa() {
	local -a sizes distances hmat
	local n i j total=0 size unit nodes

	if [ -z "$boot_numa" ]; then
		boot_qemu+=(-m "$boot_mem" -object "memory-backend-ram,id=n0,size=$boot_mem" -machine memory-backend=n0)
		return
	fi
	IFS=, read -ra sizes <<<"$boot_numa"
	IFS=/ read -ra distances <<<"$boot_distance"
	IFS=/ read -ra hmat <<<"$boot_hmat"
	[ -z "$boot_hmat" ] || boot_qemu+=(-machine hmat=on)
	n=${#sizes[@]}
	for ((i = 0; i < n; i++)); do
		size=${sizes[i]%[MG]} unit=${sizes[i]: -1}
		[ "$unit" = G ] && size=$((size * 1024))
		if [ "$size" = 0 ]; then
			boot_qemu+=(-numa "node,nodeid=$i")
			continue
		fi
		total=$((total + size))
		boot_qemu+=(-object "memory-backend-ram,id=n$i,size=${size}M" -numa "node,nodeid=$i,memdev=n$i")
	done
	for ((i = 0; i < boot_cpus; i++)); do
		boot_qemu+=(-numa "cpu,node-id=$((i * n / boot_cpus)),socket-id=$i")
	done
	nodes=$n
	if [ -n "$boot_dimm" ]; then
		boot_qemu+=(-numa "node,nodeid=$n" -object "memory-backend-ram,id=dimm,size=$boot_dimm"
			-device "pc-dimm,memdev=dimm,node=$n")
		nodes=$((n + 1))
	fi
	# A table of one row says how far node i is from node 0; other pairs are
	# as far apart as the farther of the two.
	for ((i = 0; i < nodes; i++)); do
		for ((j = i + 1; j < nodes; j++)); do
			size=${distances[j]:-21}
			[ "${distances[i]:-21}" -gt "$size" ] && [ "$i" != 0 ] && size=${distances[i]}
			boot_qemu+=(-numa "dist,src=$i,dst=$j,val=$size")
		done
	done
	# The firmware's table of latencies, in the same way.
	for ((i = 0; i < ${#hmat[@]}; i++)); do
		for ((j = 0; j < ${#hmat[@]}; j++)); do
			size=${hmat[i > j ? i : j]}
			[ "$i" != "$j" ] || size=${hmat[0]}
			boot_qemu+=(-numa "hmat-lb,initiator=$i,target=$j,hierarchy=memory,data-type=access-latency,latency=$size")
		done
	done
	boot_qemu+=(-m "${total}M${boot_dimm:+,slots=1,maxmem=$((total + 16384))M}")
}

# Each on a node of its own, as far as there are several. Last of all devices: others
# would take the bus of such a node for theirs. Hosts that are joined have MACs of their
# own.
boot_add_igb() {
	local i bus nodes

	nodes=${boot_numa//[^,]/}
	nodes=$((${#nodes} + 1))
	for ((i = 0; i < boot_igb; i++)); do
		bus=
		if [ $nodes -gt 1 ]; then
			bus=,bus=px$i
			boot_qemu+=(-device "pxb-pcie,id=px$i,bus=pcie.0,bus_nr=$((32 * (i + 1))),numa_node=$((i % nodes))")
		fi
		boot_qemu+=(-device "pcie-root-port,id=rp$i,chassis=$((i + 1)),slot=$((i + 1))$bus$boot_acs"
			-netdev "user,id=u$i,restrict=on"
			-device "igb,bus=rp$i,netdev=u$i,mac=52:54:00:aa:0$boot_net_host:0$i")
	done
}

boot_add_devices() {
	local i
	[ $boot_iommu = 1 ] && boot_qemu+=(-device intel-iommu,intremap=on)
	for ((i = 0; i < ${#boot_disks[@]}; i++)); do
		truncate -s "${boot_disks[i]}" "$boot_dir/disk$i"
		boot_qemu+=(-drive "file=/scratch/disk$i,if=none,id=d$i,format=raw,cache=unsafe,discard=unmap"
			-device "virtio-blk-pci,drive=d$i")
	done
	case $boot_net in
	"")	;;
	listen:*)
		boot_net_host=1
		boot_append+=" keel.net=1"
		boot_qemu+=(-netdev "stream,id=j0,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=${boot_net#*:}"
			-device virtio-net-pci,netdev=j0,mac=52:54:00:bb:00:01) ;;
	connect:*)
		boot_net_host=2
		boot_append+=" keel.net=2"
		boot_qemu+=(-netdev "stream,id=j0,server=off,reconnect-ms=500,addr.type=inet,addr.host=127.0.0.1,addr.port=${boot_net#*:}"
			-device virtio-net-pci,netdev=j0,mac=52:54:00:bb:00:02) ;;
	*)	die "--net listen:PORT or connect:PORT" ;;
	esac
}

boot_add_share() {
	boot_qemu+=(-fsdev "local,id=$1,path=$2,security_model=none,multidevs=remap${3:+,$3}"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# The lines of a console that no test may cause. panic_on_warn stops a host
# at the first, but some reports (leaks, UBSAN) do not go through WARN.
boot_bad_lines() {
	grep -aE 'WARNING: |BUG: |Oops|kernel BUG at|general protection fault|INFO: task .* blocked|INFO: rcu.* (stall|detected)|possible (recursive|circular) locking|inconsistent lock state|suspicious RCU usage|UBSAN: |KASAN: |KFENCE: |kmemleak: [0-9]+ new|unreferenced object|Kernel panic|Call Trace:|soft lockup|hard LOCKUP|bad: scheduling|sleeping function called|DEBUG_LOCKS_WARN|list_(add|del) corruption|Bad page (state|map)|BUG kmalloc' "$1" |
		grep -avE 'Kernel panic - not syncing: sysrq' || true
}

boot_cleanup() {
	[ -n "${boot_dir:-}" ] && rm -rf "$boot_dir"
}

boot_prepare() {
	local release modules vmlinuz initrd accel emulator tree

	need_superuser
	boot_parts
	tree=$(build_dir "$boot_target")
	if [ $boot_build = 1 ]; then
		if [ $boot_keel = 1 ]; then
			build_target "$boot_target" >/dev/null
		else
			with_lock "build-$(echo "$tree" | tr / -)" build_sync "$boot_target"
		fi
	fi
	: "${boot_log:=$(mktemp -d "${TMPDIR:-/tmp}/keel-lab.XXXXXX")}"
	mkdir -p "$boot_log"
	boot_log=$(cd "$boot_log" && pwd)
	rm -f "$boot_log"/{gdb.sock,status,started,console.log,qemu.log,stdout,stderr,command}
	# The host sees the tree as it was when it started.
	boot_dir=$(mktemp -d "$cache/.run.XXXXXX")
	trap boot_cleanup EXIT
	mkdir "$boot_dir/tree"
	with_lock "build-$(echo "$tree" | tr / -)" \
		tar -C "$tree" --exclude='*.o' --exclude='*.cmd' -cf "$boot_dir/tree.tar" .
	tar -C "$boot_dir/tree" -xf "$boot_dir/tree.tar"
	rm "$boot_dir/tree.tar"
	cp "$vmlinuz" "$boot_dir/vmlinuz"
	cp "$initrd" "$boot_dir/initrd"
	{
		printf 'release=%q keel=%q shell=%q\n' "$release" "$boot_keel" "$boot_shell"
		printf 'command=('
		[ ${#boot_command[@]} = 0 ] || printf '%q ' "${boot_command[@]}"
		printf ')\n'
	} >"$boot_log/command"

	boot_qemu=(-machine q35,kernel-irqchip=split -smp "$boot_cpus,sockets=$boot_cpus"
		-nodefaults -display none -no-reboot -rtc clock=host
		-device virtio-rng-pci -device virtio-serial-pci,max_ports=4
		-kernel /scratch/vmlinuz -initrd /scratch/initrd
		-chardev file,id=console,path=/log/console.log -serial chardev:console)
	if [ "$accel" = kvm ]; then
		boot_qemu+=(-accel kvm -cpu host)
	else
		boot_qemu+=(-accel tcg,thread=multi -cpu EPYC-Milan,+svm)
	fi
	[ $boot_gdb = 0 ] || boot_qemu+=(-gdb unix:/log/gdb.sock,server=on,wait=off)
	boot_add_numa
	boot_add_devices
	boot_add_share root / readonly=on
	boot_add_share modules /usr/lib/modules readonly=on
	boot_add_share keel /scratch/tree readonly=on
	boot_add_share ks /ks readonly=on
	boot_add_share guest /mnt readonly=on
	boot_add_share log /log
	boot_qemu+=(-append "console=ttyS0 earlyprintk=ttyS0 panic=-1 oops=panic panic_on_warn=1 softlockup_panic=1 softlockup_all_cpu_backtrace=1 nokaslr mitigations=off tsc=reliable no_timer_check intel_iommu=on iommu=pt net.ifnames=0 systemd.unified_cgroup_hierarchy=1$boot_append")
	if [ $boot_shell = 1 ]; then
		boot_qemu+=(-chardev stdio,id=tty,signal=off -device virtconsole,chardev=tty)
	else
		mkfifo "$boot_dir/stdout" "$boot_dir/stderr"
		boot_qemu+=(-chardev file,id=out,path=/scratch/stdout,append=on
			-device virtserialport,chardev=out,name=keel.stdout
			-chardev file,id=err,path=/scratch/stderr,append=on
			-device virtserialport,chardev=err,name=keel.stderr)
	fi
	boot_add_igb
	boot_modules=$modules
	boot_emulator=$emulator
}

boot_qemu_start() {
	in_root "$cache/root-trixie" "$boot_modules:usr/lib/modules" "$boot_dir:scratch" \
		"$boot_emulator:emulator" "$cache/src:ks" "$cache/guest:mnt" "$boot_log:log" -- \
		sh -c 'echo $$ >/scratch/pid; exec "$@"' qemu \
		timeout --foreground -k 5 "$boot_timeout" \
		env KEEL_SLOWER="$boot_slower" setpriv --pdeathsig KILL /emulator/qemu-system-x86_64 "${boot_qemu[@]}"
}

# Under TCG a boot now and then stops dead: its console says nothing more. No
# command has run then, so the host is started again, and that is told.
boot_watch() {
	local limit=25 since=$SECONDS size=-1 now
	[ "$boot_target" != debug ] || limit=100
	limit=$((limit * boot_slower))
	until [ -e "$boot_log/started" ] || [ -e "$boot_dir/ended" ]; do
		sleep 0.2
		now=$(stat -c %s "$boot_log/console.log" 2>/dev/null || echo 0)
		[ "$now" = "$size" ] || since=$SECONDS
		size=$now
		[ $((SECONDS - since)) -ge "$limit" ] || continue
		say "the host has been silent for $limit s: starting it again (see console.log.hung)"
		cp "$boot_log/console.log" "$boot_log/console.log.hung"
		touch "$boot_dir/again"
		kill "$(cat "$boot_dir/pid")"
		return
	done
}

boot_qemu_run() {
	local watch status
	for _ in 1 2 3; do
		status=0
		rm -f "$boot_dir"/{again,ended}
		boot_watch >/dev/null &
		watch=$!
		if [ $boot_shell = 1 ]; then
			boot_qemu_start 2>"$boot_log/qemu.log" || status=$?
		else
			boot_qemu_start </dev/null >"$boot_log/qemu.log" 2>&1 || status=$?
		fi
		touch "$boot_dir/ended"
		wait "$watch" || true
		[ -e "$boot_dir/again" ] || break
	done
	return $status
}

# Say what went wrong, with the lines that show it; the verdict is the status.
boot_verdict() {
	local qemu_status=$1 status bad
	status=$(cat "$boot_log/status" 2>/dev/null || true)
	bad=$(boot_bad_lines "$boot_log/console.log")
	if [ -n "$bad" ]; then
		say "the host's kernel complained (logs in $boot_log):"
		grep -aEm1 -A 40 'WARNING: |BUG: |Oops|UBSAN: |INFO: |Kernel panic|unreferenced' \
			"$boot_log/console.log" >&2 || echo "$bad" >&2
		return 99
	elif [ -z "$status" ]; then
		if [ "$qemu_status" = 124 ] || [ "$qemu_status" = 137 ]; then
			say "no end after $boot_timeout s; the console's last lines (logs in $boot_log):"
		elif [ -e "$boot_log/started" ]; then
			say "the host died; the console's last lines (logs in $boot_log):"
		else
			say "the host did not boot; the console's last lines (logs in $boot_log):"
		fi
		tail -n 30 "$boot_log/console.log" >&2 || true
		tail -n 5 "$boot_log/qemu.log" >&2 || true
		return 98
	fi
	return "$status"
}

boot_run() {
	local qemu_status=0 out err
	boot_options "$@"
	boot_prepare
	if [ $boot_shell = 1 ]; then
		say "booting; leave with exit (logs in $boot_log)"
		[ ! -t 0 ] || stty raw -echo
		boot_qemu_run || qemu_status=$?
		[ ! -t 0 ] || stty sane
	else
		tee "$boot_log/stdout" <"$boot_dir/stdout" &
		out=$!
		tee "$boot_log/stderr" <"$boot_dir/stderr" >&2 &
		err=$!
		# Held open here too, so that the readers see an end whatever happens.
		exec {hold1}<>"$boot_dir/stdout" {hold2}<>"$boot_dir/stderr"
		boot_qemu_run || qemu_status=$?
		exec {hold1}>&- {hold2}>&-
		wait "$out" "$err" || true
	fi
	boot_verdict "$qemu_status"
}
