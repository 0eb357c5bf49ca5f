#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dockerd of a later Debian suite, which can keep images in containerd's store instead of its own.
#
#   tests/support/later_docker.sh run FOLDER [OPTION…]
#
# Runs dockerd in the foreground, with FOLDER at the same path as outside: it holds the data, the
# sockets and the pid file. FOLDER must be on a file system that overlayfs can stand on.
#
# The suite's tree (about 550 MB, made by debootstrap in about 80 s on first use) is kept like the
# base of tests/support/base.sh and never written to.
set -eu -o pipefail

suite=trixie
packages=docker.io,docker-cli,containerd,runc
cache=${ASSAY_TEST_CACHE:-${XDG_CACHE_HOME:-/var/cache}/assay-tests}
tree=$cache/$suite-docker

make_tree() {
  mkdir -p "$cache"
  exec 9>"$cache/$suite-docker.lock"
  flock 9 # two test programs at once: the second takes what the first made
  [ ! -d "$tree" ] || return 0
  local work
  work=$(mktemp -d "$cache/$suite-docker.XXXXXX")
  if ! debootstrap --variant=minbase --include="$packages" "$suite" "$work/root" \
    >"$work/log" 2>&1; then
    echo "later_docker.sh: debootstrap $suite failed:" >&2
    tail -n 5 "$work/log" >&2
    rm -rf "$work"
    exit 5
  fi
  rm -rf "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/*
  mv "$work/root" "$tree"
  rm -rf "$work"
}

# In a mount namespace of its own: all of this goes with the last process in it.
enter() {
  local folder=$1 root=$1/root
  shift
  mkdir -p "$folder/upper" "$folder/work" "$root"
  mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/upper,workdir=$folder/work" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  mkdir -p "$root$folder"
  mount --bind "$folder" "$root$folder"
  echo '{"features": {"containerd-snapshotter": true}}' >"$folder/daemon.json"
  exec chroot "$root" dockerd --config-file "$folder/daemon.json" --iptables=false \
    --ip6tables=false --bridge=none --data-root "$folder/data" --exec-root "$folder/exec" \
    --host "unix://$folder/d.sock" --pidfile "$folder/d.pid" "$@"
}

[ "$(id -u)" -eq 0 ] || { echo "later_docker.sh: needs root" >&2 && exit 3; }
case ${1:-} in
  run)
    shift
    [ -d "$tree" ] || (make_tree)
    exec unshare --mount --propagation slave "$0" enter "$@"
    ;;
  enter)
    shift
    enter "$@"
    ;;
  *)
    echo "usage: later_docker.sh run FOLDER [OPTION…]" >&2
    exit 2
    ;;
esac
