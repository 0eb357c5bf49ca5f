// SPDX-License-Identifier: Apache-2.0
// Any bytes as an exported catalog: what is read is read again as it was written.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/catalog/log_export.h"

using namespace assay::catalog;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = decode_export({reinterpret_cast<const char*>(data), size});
  if (!read) return 0;
  const auto again = decode_export(encode_export(*read));
  if (!again || again->file_sets != read->file_sets ||
      again->log.statements != read->log.statements || again->log.head != read->log.head)
    std::abort();
  return 0;
}
