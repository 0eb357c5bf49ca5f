#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What one look into a container's root costs: an overlay on a debootstrapped base, nothing changed. Medians, then
# the first look with a cold cache.
# Usage (root): bench_view.sh [PROGRAM [DIRECTORY [RUNS]]]; without them the built program (ASSAY_BIN).
set -eu
if [ -z "${BENCH_VIEW_INSIDE:-}" ]; then
  BENCH_VIEW_INSIDE=1 exec unshare --mount "$0" "$@"
fi
program=${1:-${ASSAY_BIN:?}/bench_view}
runs=${3:-9}
# shellcheck source=tests/bench/layer_samples.sh
. "$(dirname "$0")/layer_samples.sh"
directory=$(layer_directory ${2:+"$2"})
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$directory,upperdir=$work/upper,workdir=$work/work" "$work/root"
trap 'umount "$work/root"; rm -rf "$work"' EXIT

sync
echo 3 >/proc/sys/vm/drop_caches
"$program" "$directory" "$work/root" "$work/upper" | sed 's/^/cold /'
i=0
while [ "$i" -lt "$runs" ]; do
  "$program" "$directory" "$work/root" "$work/upper" >>"$samples"
  i=$((i + 1))
done
echo "medians of $runs runs, one thread, warm cache:"
echo "paths        $(median paths)"
echo "CPU          $(median cpu) ms"
echo "time         $(median time) ms"
echo "memory       $(median kib) KiB at most"
