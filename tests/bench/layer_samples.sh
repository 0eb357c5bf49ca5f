# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# For benches on one layer directory, to be sourced: a folder that goes with the script, samples
# ("NAME NUMBER" a line), their medians, and the directory.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
samples=$work/samples

# layer_directory [DIRECTORY]: that one, or a debootstrapped base.
layer_directory() {
  if [ $# -ge 1 ]; then
    echo "$1"
    return
  fi
  mkdir "$work/base"
  tar -xpf "$("$(dirname "$0")/../support/base.sh")" -C "$work/base" --numeric-owner
  echo "$work/base"
}

median() { awk -v name="$1" '$1 == name { print $2 }' "$samples" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
