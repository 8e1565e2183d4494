#!/usr/bin/env bash
# Run the probe's tests on another kernel: boots a Debian kernel package under emulation, over this machine's file
# system (read-only), as root. Usage: scripts/kernel.sh [PACKAGE [KERNEL-PARAMETER…]], say
#   scripts/kernel.sh linux-image-6.1.0-51-amd64 lockdown=confidentiality
# Needs qemu-system-x86, busybox-static and cpio. Under `lockdown=confidentiality` before Linux 6.2, tests of what only
# the kernel's memory tells fail as `tiercel doctor` says there, and so does this.
set -euo pipefail
cd "$(dirname "$0")/.."
for command in qemu-system-x86_64 cpio dpkg-deb; do
    command -v "$command" >/dev/null || { echo "kernel.sh: $command is missing: apt-get install qemu-system-x86 cpio" >&2; exit 1; }
done
[ -x /bin/busybox ] || { echo "kernel.sh: busybox is missing: apt-get install busybox-static" >&2; exit 1; }
package=${1:-$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/root "$work"/initrd/{bin,modules,host,proc,sys,dev}
(cd "$work" && apt-get download -q "$package" 2>/dev/null && dpkg-deb -x "$package"_*.deb root)
cp /bin/busybox "$work/initrd/bin/busybox"
modules="virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p"
for module in $modules; do # what is built in has no file
    find "$work/root" -name "$module.ko*" -exec cp {} "$work/initrd/modules/" \;
done
find "$work/initrd/modules" -name '*.xz' -exec unxz {} \;
cat >"$work/initrd/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for module in $modules; do [ ! -e /modules/\$module.ko ] || insmod /modules/\$module.ko; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /host
mount -t proc none /host/proc; mount -t sysfs none /host/sys; mount -t devtmpfs none /host/dev
mkdir -p /host/dev/pts; mount -t devpts none /host/dev/pts; mount -t securityfs none /host/sys/kernel/security
for folder in tmp run var/lib; do mount -t tmpfs none /host/\$folder; done
mkdir -p '/host$PWD' && mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose project '/host$PWD'
ip link set lo up
echo "Linux \$(uname -r), lockdown \$(cat /sys/kernel/security/lockdown)"
export HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
chroot /host sh -c "cd '$PWD' && .venv/bin/tiercel doctor; .venv/bin/pytest -p no:cacheprovider -q -rf --timeout 300 tests/probe" && echo "the probe's tests passed"
poweroff -f
INIT
chmod +x "$work/initrd/init"
(cd "$work/initrd" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd.gz"
qemu-system-x86_64 -cpu max -smp 2 -m 4096 -nographic -no-reboot -net none \
    -kernel "$work"/root/boot/vmlinuz-* -initrd "$work/initrd.gz" -append "console=ttyS0 quiet panic=-1 ${*:2}" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
    -virtfs "local,path=$PWD,mount_tag=project,security_model=none,readonly=on" </dev/null | tee "$work/said"
grep -q "the probe's tests passed" "$work/said"
