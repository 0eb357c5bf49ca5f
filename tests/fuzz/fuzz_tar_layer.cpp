// SPDX-License-Identifier: Apache-2.0
// Any bytes as a layer, plain or compressed: an error or a fingerprint, and the same one twice.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
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

// Puts right the checksum of everything that has a tar header's magic; without it hardly any change
// of a header would be read.
void fix_checksums(std::span<std::uint8_t> bytes) {
  constexpr std::size_t kBlock = 512;
  for (; bytes.size() >= kBlock; bytes = bytes.subspan(kBlock)) {
    if (std::memcmp(&bytes[257], "ustar", 5) != 0) continue;
    std::fill_n(bytes.begin() + 148, 8, ' ');
    unsigned sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i)
      sum += bytes[i];
    std::snprintf(reinterpret_cast<char*>(&bytes[148]), 8, "%06o", sum);
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  const std::size_t changed = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) fix_checksums({data, changed});
  return changed;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto first = run(bytes);
  const auto second = run(bytes);
  if (first.has_value() != second.has_value()) std::abort();
  if (first && (first->content != second->content || first->shape != second->shape)) std::abort();
  return 0;
}
