// SPDX-License-Identifier: Apache-2.0
#include "cli/base_stack.h"

namespace assay::cli {

Result<catalog::BaseStack> base_stack_of(const image::Image& image) {
  catalog::BaseStack stack;
  stack.platform = image.platform;
  stack.manifest_digest = image.manifest_digest;
  for (const image::ImageLayer& layer : image.layers) {
    const image::LayerFingerprint& print = layer.fingerprint;
    if (!print.content) return Error{ErrorCode::kInternal, "the image was read without content"};
    stack.layers.push_back({layer.diff_id, print.shape, *print.content, print.deletions,
                            print.entries, print.content_bytes});
    if (layer.deviceless && layer.deviceless->content)
      stack.layers.back().deviceless = {layer.deviceless->shape, *layer.deviceless->content};
  }
  if (image.root && image.root->content)
    stack.root = {image.root->shape, *image.root->content, image.root->entries,
                  image.root->content_bytes};
  return stack;
}

catalog::Stack run_stack_of(const image::Image& image) {
  catalog::Stack stack;
  for (const image::ImageLayer& layer : image.layers) {
    const image::LayerFingerprint& print = layer.fingerprint;
    catalog::StackLayer& made = stack.layers.emplace_back();
    made.evidence.shape = print.shape;
    made.evidence.content = print.content;
    made.evidence.deletions = print.deletions;
    made.evidence.exact = layer.diff_id;
    made.evidence.is_capped_at_shape = print.has_redirects;
    made.is_injected = print.is_runtime_injected;
    made.entries = print.entries;
    made.content_bytes = print.content_bytes;
  }
  return stack;
}

}  // namespace assay::cli
