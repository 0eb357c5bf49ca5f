#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dockerd of a later Debian suite, which can keep images in containerd's store instead of its own.
#
#   tests/support/later_docker.sh run FOLDER [OPTION…]
#
# Runs dockerd in the foreground, by tests/support/later_suite.sh; FOLDER holds the data, the sockets
# and the pid file.
set -eu -o pipefail

if [ "${1:-}" != run ] || [ $# -lt 2 ]; then
  echo "usage: later_docker.sh run FOLDER [OPTION…]" >&2
  exit 2
fi
folder=$2
shift 2
mkdir -p "$folder"
echo '{"features": {"containerd-snapshotter": true}}' >"$folder/daemon.json"
exec "$(dirname "$0")/later_suite.sh" run trixie-docker trixie docker.io,docker-cli,containerd,runc \
  "$folder" dockerd --config-file "$folder/daemon.json" --iptables=false --ip6tables=false \
  --bridge=none --data-root "$folder/data" --exec-root "$folder/exec" \
  --host "unix://$folder/d.sock" --pidfile "$folder/d.pid" "$@"
