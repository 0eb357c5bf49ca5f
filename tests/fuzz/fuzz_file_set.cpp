// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file set: what is read is sorted, is written again as it was, and can be compared.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "common/catalog/containment.h"

using namespace assay::catalog;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto set = FileSet::decode(bytes);
  if (!set) return 0;
  if (set->encode() != bytes) std::abort();
  const auto kept = std::make_shared<const FileSet>(*std::move(set));
  const FileSetIndex index({{BaseId{"fuzz", "1"}, "", kept},
                            {BaseId{"empty", "1"}, "", std::make_shared<const FileSet>()}});
  Policy policy;
  policy.contained_min_files = 1;  // few files tell nothing by default
  const Containment answer = find_contained(*kept, index, policy);
  if (answer.contained.size() != (kept->empty() ? 0U : 1U)) std::abort();
  if (FileSet::over(*kept, *kept) != *kept) std::abort();
  return 0;
}
