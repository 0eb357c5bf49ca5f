#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a real Debian base (debootstrap --variant=minbase) as a tar, made once per
# machine (about 45 s) and then kept.
#
#   tests/support/base.sh [SUITE]     default: bookworm
#
# Kept under ${XDG_CACHE_HOME:-/var/cache}/assay-tests; ASSAY_TEST_CACHE names another folder.
set -eu -o pipefail

suite=${1:-bookworm}
cache=${ASSAY_TEST_CACHE:-${XDG_CACHE_HOME:-/var/cache}/assay-tests}
archive=$cache/$suite-minbase.tar

if [ ! -s "$archive" ]; then
  [ "$(id -u)" -eq 0 ] || { echo "base.sh: making $archive needs root" >&2 && exit 3; }
  mkdir -p "$cache"
  exec 9>"$cache/$suite.lock"
  flock 9 # two test programs at once: the second takes what the first made
fi
if [ ! -s "$archive" ]; then
  work=$(mktemp -d "$cache/$suite.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  if ! debootstrap --variant=minbase "$suite" "$work/root" >"$work/log" 2>&1; then
    echo "base.sh: debootstrap $suite failed:" >&2
    tail -n 5 "$work/log" >&2
    exit 5
  fi
  # What differs from run to run although the packages are the same.
  rm -rf "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/* "$work"/root/var/log/* \
    "$work"/root/var/cache/ldconfig/* "$work"/root/etc/{machine-id,hostname,resolv.conf}
  tar -C "$work/root" --sort=name --numeric-owner --format=gnu -cf "$work/base.tar" .
  mv "$work/base.tar" "$archive"
fi
echo "$archive"
