#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Assay on one machine, from nothing to verdicts: installs packages, builds a release, starts a
# collector and an agent, approves a base, starts three containers and shows what Assay says of them.
#
#   deploy/quickstart.sh [--base ARCHIVE] [--dir DIR]
#   deploy/quickstart.sh stop [--dir DIR]
#
#   --base ARCHIVE  approve this OCI or docker archive instead of a debootstrapped Debian 12
#   --dir DIR       everything but the build lies here (default /var/lib/assay-quickstart)
#
# Needs Debian 12, root, and a kernel with BTF. Services that packages bring stay off.
set -eu -o pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=deploy/lib/packages.sh
. "$root/deploy/lib/packages.sh"
# shellcheck source=deploy/lib/containers.sh
. "$root/deploy/lib/containers.sh"

command=up dir=/var/lib/assay-quickstart archive=
bin=$root/build/release/bin

say() { printf '\n== %s\n' "$*"; }

die() { # die CODE MESSAGE: exit codes as in docs/exit-codes.md
  printf 'error: %s\n' "$2" >&2
  exit "$1"
}

usage() { sed -n '3,12p' "$0" | sed 's/^# \{0,1\}//'; }

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      up | stop) command=$1 ;;
      --base) archive=${2:-} && shift ;;
      --dir) dir=${2:-} && shift ;;
      -h | --help) usage && exit 0 ;;
      *) die 2 "unknown argument \"$1\"; see deploy/quickstart.sh --help" ;;
    esac
    shift || die 2 "the last option needs a value"
  done
  [[ $dir == /?* ]] || die 2 "--dir needs an absolute path"
  dir=${dir%/}
  if [ -n "$archive" ]; then
    [ -r "$archive" ] || die 7 "--base $archive: cannot be read"
    archive=$(realpath "$archive")
  fi
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || die 3 "needs root: loading BPF programs and mounting do; try again with sudo"
  [ -r /sys/kernel/btf/vmlinux ] ||
    die 3 "this kernel has no BTF (/sys/kernel/btf/vmlinux); boot one with CONFIG_DEBUG_INFO_BTF"
  local system
  system=$(. /etc/os-release && echo "$ID $VERSION_ID")
  [ "$system" = "debian 12" ] || echo "note: made for Debian 12; this is $system, package names may differ"
}

# --- background programs: one pid file each, with the start time so that a reused pid is not ours

# Field 22 of /proc/PID/stat, counted after the command's closing bracket; nothing for a zombie: not
# every process 1 reaps at once.
start_time_of() {
  sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'
}

start_program() { # start_program NAME COMMAND…
  local name=$1
  shift
  setsid "$@" </dev/null >>"$dir/log/$name.log" 2>&1 &
  echo "$! $(start_time_of $!)" >"$dir/run/$name.pid"
  disown
}

is_running() { # is_running NAME
  local pid start
  read -r pid start 2>/dev/null <"$dir/run/$1.pid" || return 1
  [ "$(start_time_of "$pid")" = "$start" ]
}

stop_program() { # stop_program NAME: asks, waits up to 15 s, then kills
  local pid end=$((SECONDS + 15))
  if is_running "$1"; then
    read -r pid _ <"$dir/run/$1.pid"
    kill "$pid" 2>/dev/null || true
    while is_running "$1" && [ $SECONDS -lt $end ]; do sleep 0.1; done
    ! is_running "$1" || kill -9 "$pid" 2>/dev/null || true
    echo "stopped $1 (pid $pid)"
  fi
  rm -f "$dir/run/$1.pid"
}

# wait_for WHAT SECONDS COMMAND…: until the command succeeds; the log of program WHAT on failure
wait_for() {
  local what=$1 end=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      tail -n 15 "$dir/log/$what.log" >&2 2>/dev/null || true
      die 5 "$what: not ready in time; its log is above and in $dir/log/$what.log"
    fi
    if [ -e "$dir/run/$what.pid" ] && ! is_running "$what"; then
      tail -n 15 "$dir/log/$what.log" >&2
      die 5 "$what ended; its log is above"
    fi
    sleep 0.1
  done
}

free_port() { # the first port from $1 on that nobody listens on
  local port=$1
  while [ -n "$(ss -Hltn "sport = :$port")" ]; do port=$((port + 1)); done
  [ "$port" -eq "$1" ] || echo "note: port $1 is in use, taking $port" >&2
  echo "$port"
}

# --- the steps

stop_all() {
  [ -e "$dir/.assay-quickstart" ] || return 0
  local file
  remove_containers
  for file in "$dir"/run/*.pid; do
    [ ! -e "$file" ] || stop_program "$(basename "$file" .pid)"
  done
}

prepare_folder() {
  if [ -d "$dir" ] && [ ! -e "$dir/.assay-quickstart" ] && [ -n "$(ls -A "$dir")" ]; then
    die 2 "$dir exists and is not of this script; name another folder with --dir"
  fi
  stop_all
  mkdir -p "$dir"
  : >"$dir/.assay-quickstart"
  chmod 700 "$dir"
  # The Debian base is kept from run to run: it takes the longest to make.
  find "$dir" -mindepth 1 -maxdepth 1 ! -name .assay-quickstart ! -name debian -exec rm -rf {} +
  mkdir -p "$dir"/{run,log,layers}
}

build_release() {
  say "build (release)"
  mkdir -p "$root/build"
  local log=$root/build/release.log
  if ! (cd "$root" && cmake --preset release && ninja -C build/release) >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    die 70 "the build failed; its log is $log"
  fi
  tail -n 1 "$log"
}

# Sets base_name, base_source (what to approve) and base_layers (directories, top first).
make_base() {
  say "the base to approve"
  if [ -n "$archive" ]; then
    install_packages jq attr zstd
    base_name=$(basename "$archive" | sed -E 's/\.(tar|oci|gz|tgz|zst)//g; s/[^A-Za-z0-9._-]/-/g'):1
    base_source=$archive
    "$root/deploy/lib/unpack_image.sh" "$archive" "$dir/layers/base" >"$dir/run/base-layers"
    mapfile -t base_layers <"$dir/run/base-layers"
    echo "$archive: ${#base_layers[@]} layer(s)"
    return
  fi
  base_name=debian:12 base_source=$dir/debian/root
  base_layers=("$base_source")
  if [ ! -e "$dir/debian/complete" ]; then
    rm -rf "$dir/debian" && mkdir -p "$dir/debian"
    echo "debootstrap --variant=minbase bookworm (under a minute)"
    if ! debootstrap --variant=minbase bookworm "$base_source" >"$dir/log/debootstrap.log" 2>&1; then
      tail -n 5 "$dir/log/debootstrap.log" >&2
      die 5 "debootstrap failed: check the network; or give an archive with --base"
    fi
    : >"$dir/debian/complete"
  fi
  echo "$base_source: $(du -sh "$base_source" | cut -f 1)"
}

# One person's key signs the catalog; the collector's own authority issues the certificates.
make_keys() {
  "$bin/assay" key new --out "$dir/operator" >/dev/null 2>&1
  cat >"$dir/collector.yaml" <<YAML
data_dir: $dir/collector
listen: 127.0.0.1:$port
http: {address: "127.0.0.1:$collector_http"}
trust_file: $dir/operator.pub
YAML
  local collector=$bin/assay-collector
  "$collector" init --config "$dir/collector.yaml" --cluster default >/dev/null
  "$collector" issue --config "$dir/collector.yaml" --node "default/$node" --out "$dir/agent-tls" >/dev/null
  "$collector" issue --config "$dir/collector.yaml" --user quickstart --role admin --out "$dir/user-tls" >/dev/null
  cat >"$dir/agent.yaml" <<YAML
node: $node
collector: {address: "127.0.0.1:$port"}
tls: {ca: $dir/agent-tls/ca.pem, cert: $dir/agent-tls/cert.pem, key: $dir/agent-tls/key.pem}
trust_file: $dir/operator.pub
state_dir: $dir/agent
http: {address: "127.0.0.1:$agent_http"}
local: {socket: $dir/local/agent.sock}
YAML
  cat >"$dir/cli.yaml" <<YAML
collector: {address: "127.0.0.1:$port"}
tls: {ca: $dir/user-tls/ca.pem, cert: $dir/user-tls/cert.pem, key: $dir/user-tls/key.pem}
trust_file: $dir/operator.pub
signing_key: $dir/operator.key
YAML
  # What the client remembers of this collector goes away with the folder.
  printf '#!/bin/sh\nXDG_STATE_HOME=%s ASSAY_CONFIG=%s exec %s "$@"\n' \
    "$dir/state" "$dir/cli.yaml" "$bin/assay" >"$dir/assay"
  chmod 755 "$dir/assay"
}

is_ready() { # is_ready PORT
  [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/readyz")" = 200 ]
}

start_services() {
  say "collector and agent"
  local node port collector_http agent_http
  node=$(hostname)
  port=$(free_port 7443)
  collector_http=$(free_port 7480)
  agent_http=$(free_port $((collector_http + 1)))
  make_keys
  start_program collector "$bin/assay-collector" run --config "$dir/collector.yaml"
  wait_for collector 30 is_ready "$collector_http"
  echo "collector: 127.0.0.1:$port (mTLS), http://127.0.0.1:$collector_http/metrics"
  start_program agent "$bin/assay-agent" run --config "$dir/agent.yaml"
  wait_for agent 60 is_ready "$agent_http"
  echo "agent:     node $node, http://127.0.0.1:$agent_http/metrics"
}

# shows VERDICT [BASE]: whether `assay ps` lists a container with this verdict, on this base
shows() {
  [ -n "$("$dir/assay" ps --no-headers --verdict "$1" ${2:+--base "$2"} 2>/dev/null)" ]
}

start_containers() {
  say "catalog and containers"
  local runtime image
  make_busybox_tree "$dir/layers/unknown" "homemade"
  make_busybox_tree "$dir/layers/old" "busybox-old"
  "$dir/assay" base approve "$base_name" --from "$base_source" --reason "quick start"
  "$dir/assay" base approve busybox:old --from "$dir/layers/old" --reason "quick start" >/dev/null
  find_runtime
  echo
  echo "three containers, started with ${runtime:-clone, overlay and pivot_root (no runtime works here)}:"
  start_container approved "${base_layers[@]}" -- sleep 86400
  start_container unknown "$dir/layers/unknown" -- /bin/sleep 86400
  start_container revoked "$dir/layers/old" -- /bin/sleep 86400
  wait_for agent 120 shows approved "$base_name"
  wait_for agent 60 shows approved busybox:old
  wait_for agent 60 shows unknown
  "$dir/assay" base revoke busybox:old --reason "end of life" --yes
  wait_for collector 60 shows revoked busybox:old
}

show_results() {
  say "assay ps"
  "$dir/assay" ps
  say "assay findings"
  "$dir/assay" findings
  cat <<TEXT

== done after $((SECONDS / 60)) min $((SECONDS % 60)) s

How to go on (the client with this set-up's keys and address is $dir/assay):
  $dir/assay ps -o wide
  $dir/assay trace CONTAINER
  $dir/assay base list
  $dir/assay fingerprint $base_source
Logs and data are in $dir.
How to stop, leaving nothing behind:
  $0 stop$([ "$dir" = /var/lib/assay-quickstart ] || echo " --dir $dir")
TEXT
}

main() {
  parse_arguments "$@"
  if [ "$command" = stop ]; then
    [ "$(id -u)" -eq 0 ] || die 3 "needs root, as it was started by root"
    [ -e "$dir/.assay-quickstart" ] || { echo "nothing to stop: $dir is not there" && exit 0; }
    stop_all
    rm -rf "$dir"
    echo "removed $dir; the build in $root/build is kept"
    exit 0
  fi
  check_machine
  say "packages"
  install_packages "${ASSAY_BUILD_PACKAGES[@]}" "${ASSAY_QUICKSTART_PACKAGES[@]}"
  build_release
  prepare_folder
  make_base
  start_services
  start_containers
  show_results
}

main "$@"
