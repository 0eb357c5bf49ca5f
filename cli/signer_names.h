// SPDX-License-Identifier: Apache-2.0
// Keys as people know them: by the owner whom the root names, else by the first digits of the id.
#pragma once

#include <string>
#include <vector>

#include "cli/output/document.h"
#include "common/catalog/root.h"

namespace assay::cli {

inline std::string signer_name(const std::string& key_id, const catalog::TrustRoot& trust) {
  const auto owner = trust.owners.find(key_id);
  const std::string digits = key_id.substr(0, 12);
  return owner == trust.owners.end() ? digits : owner->second + " (" + digits + ")";
}

inline std::string signer_text(const std::vector<std::string>& key_ids,
                               const catalog::TrustRoot& trust) {
  std::string text;
  for (const std::string& id : key_ids)
    text += (text.empty() ? "" : ", ") + signer_name(id, trust);
  return text;
}

inline Array signer_values(const std::vector<std::string>& key_ids,
                           const catalog::TrustRoot& trust) {
  Array values;
  for (const std::string& id : key_ids) {
    const auto owner = trust.owners.find(id);
    values.push_back(
        Object{{"key_id", id}, {"owner", owner == trust.owners.end() ? Value() : owner->second}});
  }
  return values;
}

}  // namespace assay::cli
