// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/layer_dialect.h"

namespace assay::agent {

image::Dialect dialect_of(const LayerTask& task) {
  if (task.is_root_directory) return image::Dialect::kPlain;
  if (task.start.other_stack == OtherStack::kFuseOverlay) return image::Dialect::kFuseOverlay;
  if (task.start.other_stack == OtherStack::kAufs) return image::Dialect::kAufs;
  return task.start.overlay.userxattr ? image::Dialect::kOverlayUser : image::Dialect::kOverlay;
}

std::string overlay_options_of(const LayerTask& task) {
  const OverlayOptions& overlay = task.start.overlay;
  if (task.is_root_directory || task.start.other_stack != OtherStack::kNone)
    return std::string(image::to_string(dialect_of(task)));
  std::string text = overlay.userxattr ? "user" : "trusted";
  text += ";redirect=" + std::to_string(overlay.redirect_mode);
  text += overlay.metacopy ? ";metacopy=1" : ";metacopy=0";
  text += ";data-only=" + std::to_string(overlay.data_only_layers);
  text += task.layer.is_data_only ? ";is-data-only" : "";
  text += task.layer.is_id_mapped ? ";id-mapped" : "";
  return text;
}

}  // namespace assay::agent
