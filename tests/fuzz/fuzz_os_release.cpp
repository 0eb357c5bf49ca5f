// SPDX-License-Identifier: Apache-2.0
// Any bytes as os-release: nothing, or short text that is safe to keep.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/about/os_release.h"
#include "common/base/encoding.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto found = assay::about::parse_os_release(text);
  if (!found) return 0;
  for (const std::string& one : {found->id, found->version, found->name, found->variant})
    if (one.size() > 256 || assay::to_plain_text(one, one.size()) != one) std::abort();
  return 0;
}
