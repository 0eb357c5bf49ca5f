// SPDX-License-Identifier: Apache-2.0
// Any bytes as the node's record of a layer: what is read is sorted, is read back as it was
// written, and can be compared.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/image/node_record.h"

using namespace assay::image;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const RecordLimits limits{1000, 1U << 20};
  const auto record = NodeRecord::decode(bytes, limits);
  if (!record) return 0;
  const auto again = record->encode();
  if (!again) std::abort();
  const auto back = NodeRecord::decode(*again);
  if (!back || *back != *record) std::abort();
  const RecordDifference none = compare(*record, *back);
  if (none.changed != 0 || none.touched != 0) std::abort();
  NodeRecord less = *record;
  if (!less.entries.empty()) less.entries.pop_back();
  if (compare(*record, less).changed != record->entries.size() - less.entries.size()) std::abort();
  for (const RecordEntry& entry : record->entries)
    if (record->find(entry.path) == nullptr) std::abort();
  return 0;
}
