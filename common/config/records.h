// SPDX-License-Identifier: Apache-2.0
// A key of a file that holds a list of records, each with named texts: `exemptions` of a policy.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::config {

struct RecordField {
  std::string name;
  bool is_required = false;
  bool is_map = false;  ///< texts by key instead of one text
};

struct Record {
  std::string place;                          ///< "policy.yaml:7:5"
  std::map<std::string, std::string> texts;   ///< by field; those that are given
  std::map<std::string, std::string> places;  ///< by field, maps too
  std::map<std::string, std::map<std::string, std::string>> maps;

  std::string text(const std::string& field) const {
    const auto found = texts.find(field);
    return found == texts.end() ? std::string() : found->second;
  }
};

/// Records of one key, and every problem with its place.
struct Records {
  std::vector<Record> records;
  std::vector<std::string> problems;
};

/// The records under the top-level key `key` in the YAML file `file` (at most 1 MiB); none when it
/// has no such key. A file that is no YAML gives nothing here: Table::load() tells of it. More than
/// `max_records`, unknown, repeated, missing and empty fields are problems. Never throws.
/// Errors: those of read_file().
Result<Records> read_records(const std::string& file, const std::string& key,
                             const std::vector<RecordField>& fields, std::size_t max_records);

}  // namespace assay::config
