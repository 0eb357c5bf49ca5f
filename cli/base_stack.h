// SPDX-License-Identifier: Apache-2.0
// An image as what the catalog holds of a base, and as what a node knows of a run.
#pragma once

#include "common/base/result.h"
#include "common/catalog/base_image.h"
#include "common/catalog/evidence.h"
#include "common/image/image.h"

namespace assay::cli {

/// The stack of a base that `image` is, without its file set. The image was read with content and
/// wants_other_forms. Errors: kInternal (it was not).
Result<catalog::BaseStack> base_stack_of(const image::Image& image);

/// The stack that a run of `image` would stand on. Diff IDs count as proven: reading the image
/// recomputed them.
catalog::Stack run_stack_of(const image::Image& image);

}  // namespace assay::cli
