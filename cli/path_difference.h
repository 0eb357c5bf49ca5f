// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/output/document.h"
#include "common/image/layer_diff.h"

namespace assay::cli {

/// One path in which two layers differ, as docs/cli.md describes it: of an entry that both have
/// only what differs, of one that a single side has everything.
Value to_value(const image::PathDifference& difference);

}  // namespace assay::cli
