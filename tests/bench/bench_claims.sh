#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a look-up of claims costs, on stores made for it. Usage: bench_claims.sh [PROGRAM]
set -eu
program=${1:-${ASSAY_BIN:?}/bench_claims}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" "$work"
