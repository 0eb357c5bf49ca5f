// SPDX-License-Identifier: Apache-2.0
// Any bytes as a layer, plain or compressed: an error or a fingerprint, and the same one twice.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/image/tar_layer.h"

using namespace assay;
using namespace assay::image;

namespace {

Result<LayerFingerprint> run(std::string_view bytes) {
  FingerprintLimits limits;
  limits.max_content_bytes = 8U << 20;
  limits.max_entries = 2000;
  std::uint64_t bytes_left = 16U << 20;
  MemorySource memory(bytes);
  ASSAY_ASSIGN(const std::unique_ptr<ByteSource> plain, decompress(memory));
  LimitedSource limited(*plain, bytes_left, bytes_left);
  return fingerprint_tar(limited, Scope::kContent, limits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto first = run(bytes);
  const auto second = run(bytes);
  if (first.has_value() != second.has_value()) std::abort();
  if (first && (first->content != second->content || first->shape != second->shape)) std::abort();
  return 0;
}
