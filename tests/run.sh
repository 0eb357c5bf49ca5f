#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The one test driver: installs what is missing, builds, runs, and sums up.
#
#   tests/run.sh [label…]     default: format unit bpf runtime e2e
#   tests/run.sh --all        every label but bench
#
# Labels: format (clang-format, include directions), lint (format and clang-tidy), unit, bpf,
# runtime, e2e, asan (unit tests with AddressSanitizer and UBSan), tsan, fuzz (each target for ten
# seconds), kernel (other kernels in QEMU), slow (long ones of all kinds), bench (prints the rows of
# docs/performance.md), golden --update (rewrites golden files). docs/testing.md says more.
#
# The last line is "N passed, N failed, N skipped"; the exit code is 0 only when nothing failed.
# With CI=true a skipped test of unit, bpf, runtime or e2e counts as failed.
set -u -o pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 70
# shellcheck source=deploy/lib/packages.sh
. deploy/lib/packages.sh

readonly all_labels="lint unit bpf runtime e2e asan tsan fuzz kernel slow"
readonly default_labels="format unit bpf runtime e2e"
passed=0 failed=0 skipped=0
labels=() update=no

usage() {
  sed -n '3,14p' "$0" | sed 's/^# \{0,1\}//'
}

parse_arguments() {
  local argument
  for argument in "$@"; do
    case $argument in
      --all) read -ra labels <<<"$all_labels" ;;
      --update) update=yes ;;
      -h | --help) usage && exit 0 ;;
      format | lint | unit | bpf | runtime | e2e | asan | tsan | fuzz | kernel | slow | bench | golden)
        labels+=("$argument") ;;
      *) echo "tests/run.sh: unknown argument \"$argument\"; see tests/run.sh --help" >&2 && exit 2 ;;
    esac
  done
  [ "${#labels[@]}" -gt 0 ] || read -ra labels <<<"$default_labels"
}

wants() {
  local label
  for label in "${labels[@]}"; do
    [[ " $* " == *" $label "* ]] && return 0
  done
  return 1
}

say() { printf '\n== %s\n' "$*"; }

# count STATUS NAME: one check that is not a CTest entry.
count() {
  if [ "$1" -eq 0 ]; then
    passed=$((passed + 1)) && echo "passed: $2"
  else
    failed=$((failed + 1)) && echo "FAILED: $2"
  fi
}

install_needs() {
  local -a needs=("${ASSAY_BUILD_PACKAGES[@]}" "${ASSAY_TEST_PACKAGES[@]}")
  wants kernel slow && needs+=("${ASSAY_KERNEL_TEST_PACKAGES[@]}")
  say "packages"
  install_packages "${needs[@]}" || { count 1 packages && finish; }
}

# build PRESET [TARGET…]: configure and build; the build's own messages are shown only when it fails.
build() {
  local preset=$1 log
  shift
  log=build/$preset.log
  mkdir -p build
  say "build: $preset"
  export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  if cmake --preset "$preset" >"$log" 2>&1 && ninja -C "build/$preset" "$@" >>"$log" 2>&1; then
    tail -n 1 "$log"
    return 0
  fi
  grep -E -m 20 -A 6 'error|FAILED|Error' "$log" || tail -n 40 "$log"
  count 1 "build $preset (all of it: $log)"
  return 1
}

# run_ctest PRESET LABEL: the tests of one label; adds their cases to the totals.
run_ctest() {
  local preset=$1 label=$2 report add
  report=$root/build/$preset/report-$label.xml
  rm -f "$report"
  say "tests: $label ($preset)"
  ctest --test-dir "build/$preset" -L "^$label\$" -j "$(nproc)" --output-on-failure --no-tests=error \
    --output-junit "$report" --test-output-size-passed 1000000 --test-output-size-failed 1000000
  if ! add=$(python3 tests/support/sum_up.py "$report"); then
    count 1 "$label: no tests ran"
    return
  fi
  # shellcheck disable=SC2086
  set -- $add
  echo "$label: $1 passed, $2 failed, $3 skipped"
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
  if [ "${CI:-}" = true ] && [ "$3" -gt 0 ] && [[ " unit bpf runtime e2e " == *" $label "* ]]; then
    count 1 "$label: nothing may be skipped in CI"
  fi
}

run_format() {
  say "format and include directions"
  python3 tests/check_layers.py
  count $? check_layers
  git ls-files -z '*.cpp' '*.h' '*.c' '*.proto' | xargs -0 clang-format --dry-run -Werror
  count $? clang-format
  if command -v shellcheck >/dev/null; then
    git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck -x
    count $? shellcheck
  fi
}

run_tidy() {
  say "clang-tidy"
  git ls-files -z 'agent/*.cpp' 'collector/*.cpp' 'common/*.cpp' 'cli/*.cpp' |
    xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/dev >build/clang-tidy.log 2>/dev/null
  local status=$?
  [ "$status" -eq 0 ] || grep -E 'error:' build/clang-tidy.log | sort -u | head -n 60
  count "$status" clang-tidy
}

# sanitized_units PRESET: its unit tests, each program with the sanitizers of the preset.
sanitized_units() {
  export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
  export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  export LSAN_OPTIONS=print_suppressions=0:suppressions=$root/tests/support/lsan.supp
  export TSAN_OPTIONS=halt_on_error=1:suppressions=$root/tests/support/tsan.supp
  run_ctest "$1" unit
}

# The fuzz preset has the sanitizers of the asan preset: one build serves both.
run_clang() {
  local -a targets=()
  wants asan && targets+=(unit_tests)
  wants fuzz && targets+=(fuzzers)
  build fuzz "${targets[@]}" || return
  wants asan && sanitized_units fuzz
  wants fuzz && run_ctest fuzz fuzz
}

# The benches run release builds; their rows go to docs/performance.md by hand.
run_bench() {
  local bench
  say "bench (release build)"
  mkdir -p build
  if ! { cmake --preset release -B build/bench -DASSAY_TESTS=ON && ninja -C build/bench benches; } \
    >build/bench.log 2>&1; then
    count 1 "build for the benches (build/bench.log)"
    return
  fi
  for bench in tests/bench/bench_*.sh tests/bench/bench_*.py; do
    [ -e "$bench" ] || continue
    case $bench in
      *.py) ASSAY_BIN=$root/build/bench/bin /usr/bin/python3 -B "$bench" ;;
      *) ASSAY_BIN=$root/build/bench/bin "$bench" ;;
    esac
    count $? "$bench"
  done
}

finish() {
  say "total after $((SECONDS / 60)) min $((SECONDS % 60)) s"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit $?
}

main() {
  parse_arguments "$@"
  install_needs
  if wants golden; then
    [ "$update" = yes ] || { echo "tests/run.sh: golden needs --update" >&2 && exit 2; }
    build dev && ASSAY_UPDATE_GOLDEN=1 ctest --test-dir build/dev -L '^unit$' && git diff --stat
    exit $?
  fi
  wants format lint && run_format
  if wants unit bpf runtime e2e lint kernel slow; then
    build dev || finish
  fi
  wants lint && run_tidy
  local label
  for label in unit bpf runtime e2e kernel slow; do
    wants "$label" && run_ctest dev "$label"
  done
  wants asan fuzz && run_clang
  wants tsan && build tsan unit_tests && sanitized_units tsan
  wants bench && run_bench
  finish
}

main "$@"
