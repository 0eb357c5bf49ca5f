#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Boots a Debian cloud kernel in QEMU (software emulation) with a small initramfs, runs one program
# in it as root and ends with the program's exit code (77 when something that this needs is missing).
#
#   tests/kernel/boot.sh 6.1|6.12 PROGRAM [ARG…]
#
# Files named in ASSAY_GUEST_FILES (static programs, data) come to lie beside the program.
# ASSAY_GUEST_DISK_FEATURES: of mkfs.ext4 -O. ASSAY_GUEST_DISK: an ext4 image to use, and keep, as /disk. ASSAY_GUEST_DISK_LOG: every write and flush that
# reaches it is logged there (QEMU's blklogwrites). ASSAY_GUEST_QEMU_PID: a file for QEMU's process id.
# Kernels are downloaded with apt from the machine's own sources, unpacked, never installed.
set -euo pipefail

series=$1
program=$2
shift 2
cache=${ASSAY_TEST_CACHE:-${XDG_CACHE_HOME:-/var/cache}/assay-tests}/kernels
boot_timeout_s=600

skip() {
  echo "SKIPPED: $*"
  exit 77
}
for tool in qemu-system-x86_64 cpio dpkg-deb busybox xz depmod mkfs.ext4; do
  command -v "$tool" >/dev/null || skip "needs $tool (packages qemu-system-x86 cpio busybox-static xz-utils kmod)"
done

# newest package of the series, e.g. linux-image-6.1.0-40-cloud-amd64-unsigned
find_package() {
  apt-cache search --names-only "^linux-image-${series//./\\.}(\\.|-).*cloud-amd64-unsigned\$" |
    awk '{print $1}' | sort -V | tail -n 1
}

fetch_kernel() { # prints the folder with the unpacked package
  local package=$1 folder=$cache/$1
  if [ ! -d "$folder" ]; then
    mkdir -p "$cache"
    local draft
    draft=$(mktemp -d "$cache/draft.XXXXXX")
    (cd "$draft" && apt-get -q download "$package" >/dev/null 2>&1) || skip "$package cannot be downloaded"
    dpkg-deb -x "$draft"/*.deb "$draft/root"
    mv "$draft/root" "$folder"
    rm -rf "$draft"
  fi
  echo "$folder"
}

# What overlay, ext4 and a virtio disk need, uncompressed: busybox reads nothing else.
copy_modules() { # kernel folder, root
  local modules version
  modules=$(dirname "$(find "$1" -name modules.builtin | head -n 1)")
  version=$(basename "$modules")
  mkdir -p "$2/lib/modules/$version"
  (cd "$modules" && find kernel/fs kernel/lib kernel/crypto kernel/arch kernel/drivers/block kernel/drivers/virtio \
    -name '*.ko*' | grep -vE 'fs/(nfs|smb|btrfs|xfs|ceph)' | cpio --quiet -pdm "$2/lib/modules/$version")
  cp "$modules"/modules.builtin "$modules"/modules.builtin.modinfo "$modules"/modules.order "$2/lib/modules/$version/"
  find "$2/lib/modules" -name '*.xz' -exec xz -d {} +
  depmod -b "$2" "$version"
}

# The program with its libraries, busybox, and the overlay module with what it depends on.
make_initramfs() { # kernel folder, work folder
  local kernel=$1 root=$2/root
  mkdir -p "$root"/{bin,proc,sys,dev,tmp,new,work,lib}
  cp "$(command -v busybox)" "$root/bin/busybox"
  cp "$program" "$root/work/program"
  install -D "$(command -v unshare)" "$root/usr/bin/unshare" # needs no library that programs do not
  local file
  for file in ${ASSAY_GUEST_FILES:-}; do cp "$file" "$root/work/"; done
  ldd "$program" | awk '/=> \//{print $3} /^\t\/lib/{print $1}' | while read -r library; do
    install -D "$library" "$root$library"
  done
  copy_modules "$kernel" "$root"
  cat >"$root/init" <<'INIT'
#!/bin/busybox sh
# The initramfs itself cannot be pivoted away from: everything moves to a tmpfs first.
/bin/busybox mount -t tmpfs -o size=2g tmpfs /new
for entry in bin lib lib64 usr work; do
  [ -e /$entry ] && /bin/busybox cp -a /$entry /new/
done
/bin/busybox mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/etc /new/root
/bin/busybox cp /second /new/second
exec /bin/busybox switch_root /new /second
INIT
  cat >"$root/second" <<SECOND
#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TMPDIR=/tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /sys/fs/cgroup /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs tmpfs /dev/shm
hostname assay-guest
for module in overlay virtio_pci virtio_blk crc32c_generic ext4; do modprobe -q \$module; done
mkdir -p /disk
mount -t ext4 /dev/vda /disk && rm -rf /disk/work && mv /work /disk/work && ln -s /disk/work /work
echo "guest kernel: \$(uname -r)"
cd /disk/work || cd /work
./program $(printf '%q ' "${arguments[@]}") </dev/null 2>&1
echo "ASSAY_EXIT=\$?"
poweroff -f
SECOND
  chmod +x "$root/init" "$root/second"
  (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$2/initramfs.gz"
}

arguments=("$@")
package=$(find_package)
[ -n "$package" ] || skip "no Debian cloud kernel of series $series in the package lists"
kernel=$(fetch_kernel "$package")
vmlinuz=$(find "$kernel/boot" -name 'vmlinuz-*' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make_initramfs "$kernel" "$work"

disk=${ASSAY_GUEST_DISK:-$work/disk}
if [ ! -e "$disk" ]; then
  truncate -s 1G "$disk"
  mkfs.ext4 -q -F ${ASSAY_GUEST_DISK_FEATURES:+-O "$ASSAY_GUEST_DISK_FEATURES"} "$disk" # layers need inode generations
fi
drive=(-drive "file=$disk,format=raw,if=virtio,cache=unsafe")
if [ -n "${ASSAY_GUEST_DISK_LOG:-}" ]; then
  # shellcheck disable=SC2054 # the commas are QEMU's
  drive=(-blockdev "driver=file,node-name=disk,filename=$disk"
    -blockdev "driver=file,node-name=log,filename=$ASSAY_GUEST_DISK_LOG"
    -blockdev driver=blklogwrites,node-name=logged,file=disk,log=log,log-super-update-interval=1
    -device virtio-blk-pci,drive=logged,write-cache=on)
fi
[ -z "${ASSAY_GUEST_QEMU_PID:-}" ] || drive+=(-pidfile "$ASSAY_GUEST_QEMU_PID")
timeout "$boot_timeout_s" qemu-system-x86_64 -accel tcg -cpu max -m 3072 -smp 2 -nographic -no-reboot \
  -net none "${drive[@]}" -kernel "$vmlinuz" -initrd "$work/initramfs.gz" \
  -append 'console=ttyS0 quiet loglevel=3 panic=-1' </dev/null | sed -u 's,\r,,g' | tee "$work/console"
code=$(sed -n 's/^ASSAY_EXIT=//p' "$work/console" | tail -n 1)
[ -n "$code" ] || { echo "the guest ended without an exit code" >&2; exit 1; }
exit "$code"
