#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shape and content speed on a directory against sha256sum of the same files, interleaved, medians.
# Usage: bench_fingerprint.sh [PROGRAM [DIRECTORY [RUNS]]]; without them the built program
# (ASSAY_BIN) and a debootstrapped base.
# Keep the machine otherwise idle and the cache warm; quote ratios of one run, not times of two.
set -eu
program=${1:-${ASSAY_BIN:?}/bench_fingerprint}
runs=${3:-7}
# shellcheck source=tests/bench/layer_samples.sh
. "$(dirname "$0")/layer_samples.sh"
directory=$(layer_directory ${2:+"$2"})

now_ms() { echo $(($(date +%s%N) / 1000000)); }

"$program" "$directory" >/dev/null
find "$directory" -xdev -type f -print0 | xargs -0 cat >/dev/null
i=0
while [ "$i" -lt "$runs" ]; do
  taskset -c 0 "$program" "$directory" >>"$samples"
  start=$(now_ms)
  find "$directory" -xdev -type f -print0 | taskset -c 0 xargs -0 sha256sum >/dev/null
  echo "sha256sum $(($(now_ms) - start))" >>"$samples"
  start=$(now_ms)
  taskset -c 0 find "$directory" -xdev -printf '%p %m %U %G %s %T@ %l\n' >/dev/null
  echo "find $(($(now_ms) - start))" >>"$samples"
  i=$((i + 1))
done

shape=$(median shape)
content=$(median content)
sha=$(median sha256sum)
bare=$(median find)
awk '$1 == "entries" || $1 == "bytes" || $1 == "hasher"' "$samples" | sort -u
grep -q -w sha_ni /proc/cpuinfo && echo "cpu has SHA-NI" || echo "cpu has no SHA-NI"
echo "medians of $runs runs, one core, warm cache:"
echo "shape      $shape ms (find -printf: $bare ms)"
echo "content    $content ms"
echo "sha256sum  $sha ms"
awk -v a="$sha" -v b="$content" 'BEGIN { printf "content is %.1f times as fast as sha256sum\n", a / b }'
