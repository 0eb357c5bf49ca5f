// SPDX-License-Identifier: Apache-2.0
// Statements are read after their signature was checked, but heads, tools and later versions read
// them too: whatever is accepted must be written back to the same meaning.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/catalog/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace assay::catalog;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto statement = statement_from_in_toto(text)) {
    const std::string canonical = to_in_toto(*statement);
    const auto again = statement_from_in_toto(canonical);
    if (!again || to_in_toto(*again) != canonical) std::abort();
  }
  if (const auto head = head_from_in_toto(text)) {
    const auto again = head_from_in_toto(to_in_toto(*head));
    if (!again || again->sequence != head->sequence || again->last != head->last) std::abort();
  }
  return 0;
}
