#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Revocation and impact on a made-up fleet of 300,000 running containers (about 1 GB on disk).
set -eu
folder=$(mktemp -d "${TMPDIR:-/tmp}/assay-fleet.XXXXXX")
trap 'rm -rf "$folder"' EXIT
"${ASSAY_BIN:-build/release/bin}/bench_fleet" "$folder" "$@"
