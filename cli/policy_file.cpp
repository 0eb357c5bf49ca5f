// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_file.h"

#include "common/catalog/file_set.h"

namespace assay::cli {
namespace {

using catalog::Policy;
using catalog::Rung;

config::Table<PolicyFile> make_table() {
  const auto policy = [](auto member) {
    return [member](PolicyFile & file) -> auto& {
      return file.policy.*member;
    };
  };
  const auto word = [](Rung rung) { return std::string(to_string(rung)); };
  config::Table<PolicyFile> table("");
  table.text("required_rung", &PolicyFile::required_rung,
             {.text = "how strong the evidence of a base must be for `approved`",
              .values = {word(Rung::kShape), word(Rung::kContent), word(Rung::kExact)}});
  table.duration(
      "pending_deadline", policy(&Policy::pending_deadline),
      {.text = "how long a run may wait for that evidence before it is a finding", .max = "7d"});
  table.integer("contained.share_percent", policy(&Policy::contained_share_percent),
                {.text = "how much of a base's weight must be in the files of a flattened image",
                 .unit = "%",
                 .min = "1",
                 .max = "100"});
  table.integer("contained.own_percent", policy(&Policy::contained_own_percent),
                {.text = "how much of what tells a base from another one must be there",
                 .unit = "%",
                 .min = "1",
                 .max = "100"});
  table.integer("contained.min_files", policy(&Policy::contained_min_files),
                {.text = "how many of a base's files must be there",
                 .unit = "files",
                 .min = "1",
                 .max = std::to_string(catalog::kMaxFileSetEntries)});
  return table;
}

}  // namespace

const config::Table<PolicyFile>& policy_table() {
  static const config::Table<PolicyFile> table = make_table();
  return table;
}

Result<Policy> read_policy_file(const std::string& file) {
  config::Sources sources;
  sources.file = file;
  ASSAY_ASSIGN(const auto loaded, policy_table().load(sources));
  Policy policy = loaded.config.policy;
  ASSAY_ASSIGN(policy.required_rung, catalog::parse_rung(loaded.config.required_rung));
  return policy;
}

}  // namespace assay::cli
