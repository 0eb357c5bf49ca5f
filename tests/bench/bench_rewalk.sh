#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the node's own record of a layer costs: beside its content digest, and to walk it again. Medians.
# Usage: bench_rewalk.sh [PROGRAM [DIRECTORY [RUNS]]]; without them the built program (ASSAY_BIN) and a
# debootstrapped base. Keep the machine otherwise idle; the cache is warm.
set -eu
program=${1:-${ASSAY_BIN:?}/bench_rewalk}
runs=${3:-9}
# shellcheck source=tests/bench/layer_samples.sh
. "$(dirname "$0")/layer_samples.sh"
directory=$(layer_directory ${2:+"$2"})

"$program" "$directory" >/dev/null
i=0
while [ "$i" -lt "$runs" ]; do
  taskset -c 0 "$program" "$directory" >>"$samples"
  i=$((i + 1))
done

awk '$1 == "entries" || $1 == "record_bytes"' "$samples" | sort -u
echo "medians of $runs runs, CPU of one thread, warm cache:"
echo "content              $(median content) ms"
echo "content and record   $(median recorded) ms"
echo "walked again by it   $(median rewalk) ms"
