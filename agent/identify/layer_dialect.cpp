// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/layer_dialect.h"

namespace assay::agent {

image::Dialect dialect_of(const LayerTask& task) {
  if (task.is_root_directory) return image::Dialect::kPlain;
  if (task.start.other_stack == OtherStack::kFuseOverlay) return image::Dialect::kFuseOverlay;
  if (task.start.other_stack == OtherStack::kAufs) return image::Dialect::kAufs;
  return task.start.overlay.userxattr ? image::Dialect::kOverlayUser : image::Dialect::kOverlay;
}

}  // namespace assay::agent
