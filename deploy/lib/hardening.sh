#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Says what of Assay's hardening (cmake/Hardening.cmake) an ELF program lacks; ends with 1 when it lacks something.
#
#   deploy/lib/hardening.sh [--linked] PROGRAM…     --linked: only what the linker does, as in the preset dev
#
# -fcf-protection leaves no mark to look for: Debian's start-up objects have none, so the linker drops it.
set -eu -o pipefail

wants_all=yes lacks=0
if [ "${1:-}" = --linked ]; then wants_all=no && shift; fi
[ $# -gt 0 ] || { echo "hardening.sh: name a program" >&2 && exit 2; }

expect() { # expect PROGRAM WHAT PATTERN TEXT
  grep -qE -- "$3" <<<"$4" || { echo "$1: no $2" && lacks=1; }
}

for program in "$@"; do
  [ -r "$program" ] || { echo "hardening.sh: $program cannot be read" >&2 && exit 7; }
  headers=$(readelf -W -h -l -d "$program")
  expect "$program" "PIE" '^ *Type: +DYN \(Position-Independent Executable' "$headers"
  expect "$program" "RELRO" 'GNU_RELRO' "$headers"
  expect "$program" "BIND_NOW" '\(FLAGS_1\).*NOW|\(BIND_NOW\)|\(FLAGS\).*BIND_NOW' "$headers"
  expect "$program" "stack that is not executable" 'GNU_STACK .* RW +0x' "$headers"
  [ "$wants_all" = yes ] || continue
  symbols=$(readelf -W --dyn-syms "$program")
  expect "$program" "stack protector" '__stack_chk_fail' "$symbols"
  expect "$program" "FORTIFY" '__[a-z]+_chk(@|$)' "$symbols"
  expect "$program" "assertions of libstdc++" '__glibcxx_assert_fail' "$symbols"
done
exit "$lacks"
