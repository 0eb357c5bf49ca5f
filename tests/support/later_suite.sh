#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs of a later Debian suite, on a tree of their own.
#
#   tests/support/later_suite.sh run NAME SUITE PACKAGE,… FOLDER [--unified] PROGRAM ARGUMENT…
#
# Executes PROGRAM in the foreground, by the same process id, with the suite's tree as its root, in a
# mount namespace of its own, and with FOLDER at the same path as outside. FOLDER must be on a file
# system that overlayfs can stand on. With --unified the program sees version 2 of cgroups alone, from
# a cgroup of its own downwards.
#
# The tree (made by debootstrap in one to two minutes on first use, some 550 MB) is kept under NAME like
# the base of tests/support/base.sh and never written to.
set -eu -o pipefail

cache=${ASSAY_TEST_CACHE:-${XDG_CACHE_HOME:-/var/cache}/assay-tests}

make_tree() {
  local name=$1 suite=$2 packages=$3
  mkdir -p "$cache"
  exec 9>"$cache/$name.lock"
  flock 9 # two test programs at once: the second takes what the first made
  [ ! -d "$cache/$name" ] || return 0
  local work
  work=$(mktemp -d "$cache/$name.XXXXXX")
  if ! debootstrap --variant=minbase --include="$packages" "$suite" "$work/root" \
    >"$work/log" 2>&1; then
    echo "later_suite.sh: debootstrap $suite failed:" >&2
    tail -n 5 "$work/log" >&2
    rm -rf "$work"
    exit 5
  fi
  rm -rf "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/*
  mv "$work/root" "$cache/$name"
  rm -rf "$work"
}

# In a mount namespace of its own: all of this goes with the last process in it.
enter() {
  local tree=$1 folder=$2 root=$2/root
  shift 2
  mkdir -p "$folder/upper" "$folder/work" "$root"
  mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/upper,workdir=$folder/work" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  if [ "$1" = --unified ]; then
    shift
    mount -t cgroup2 none "$root/sys/fs/cgroup"
  fi
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  touch "$root/etc/hosts"
  mkdir -p "$root$folder"
  mount --bind "$folder" "$root$folder"
  exec chroot "$root" "$@"
}

[ "$(id -u)" -eq 0 ] || { echo "later_suite.sh: needs root" >&2 && exit 3; }
case ${1:-} in
  run)
    [ $# -ge 6 ] || { echo "later_suite.sh: NAME SUITE PACKAGES FOLDER PROGRAM are needed" >&2 && exit 2; }
    tree=$cache/$2
    [ -d "$tree" ] || (make_tree "$2" "$3" "$4")
    shift 4
    spaces=(--mount)
    if [ "$2" = --unified ]; then
      cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/assay-later-$$
      mkdir "$cgroup"
      echo $$ >"$cgroup/cgroup.procs"
      spaces+=(--cgroup)
    fi
    exec unshare "${spaces[@]}" --propagation slave "$0" enter "$tree" "$@"
    ;;
  enter)
    shift
    enter "$@"
    ;;
  *)
    echo "usage: later_suite.sh run NAME SUITE PACKAGE,… FOLDER [--unified] PROGRAM ARGUMENT…" >&2
    exit 2
    ;;
esac
