// SPDX-License-Identifier: Apache-2.0
// Any bytes as a layer that somebody looks on at: the fingerprint stays what it is, and what the
// layer says of itself is safe to merge and to keep.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/about/layer_about_reader.h"
#include "common/image/tar_layer.h"

using namespace assay;
using namespace assay::image;

namespace {

Result<LayerFingerprint> run(std::string_view bytes, Scope scope, LayerObserver* observer) {
  FingerprintLimits limits;
  limits.max_content_bytes = 8U << 20;
  limits.max_entries = 2000;
  MemorySource memory(bytes);
  return fingerprint_tar(memory, scope, limits, observer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  about::ListBudget budget{1000};
  about::LayerAboutReader reader(&budget, {1U << 20, 1U << 20, 64}, {});
  const auto seen = run(bytes, Scope::kContent, &reader);
  const auto alone = run(bytes, Scope::kContent, nullptr);
  if (seen.has_value() != alone.has_value()) std::abort();
  if (!seen) return 0;
  if (seen->content != alone->content || seen->shape != alone->shape) std::abort();
  if (reader.wants_again() && !run(bytes, Scope::kShape, &reader)) std::abort();
  const catalog::LayerAbout layer = reader.take();
  if (layer.nodes.size() > 64) std::abort();
  const auto kept = catalog::decode_about(catalog::encode_about(layer));
  if (!kept) std::abort();
  static_cast<void>(catalog::merge_about({&layer, 1}));
  return 0;
}
