// SPDX-License-Identifier: Apache-2.0
// Any layers over one another (JSON, one a line): links end, and a merged view can be kept.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "common/catalog/about.h"

using namespace assay::catalog;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<LayerAbout> layers;
  while (!text.empty() && layers.size() < 8) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (auto layer = decode_about(text.substr(0, end))) {
      const auto again = decode_about(encode_about(*layer));
      if (!again) std::abort();
      layers.push_back(std::move(*layer));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!decode_merged_about(encode_about(merge_about(layers)))) std::abort();
  return 0;
}
