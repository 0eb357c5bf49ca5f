// SPDX-License-Identifier: Apache-2.0
// A configuration file's leaves with their places; internal to common/config.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace assay::config {

struct YamlEntry {
  std::string key;                 ///< dotted path; one of the known ones
  std::vector<std::string> items;  ///< one for a scalar
  bool is_sequence = false;
  std::string place;  ///< "agent.yaml:3:12"
};

struct YamlFile {
  std::vector<YamlEntry> entries;
  std::vector<std::string> problems;  ///< each with its place
};

/// Reads nested and dotted keys ("a: {b: 1}" and "a.b: 1"). Whatever is not one of `known`, or is
/// there twice, is a problem; those at the top that are in `passed_over` are left to others. Never
/// throws.
YamlFile read_yaml(const std::string& text, const std::string& name,
                   const std::vector<std::string>& known,
                   const std::vector<std::string>& passed_over = {});

}  // namespace assay::config
