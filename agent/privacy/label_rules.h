// SPDX-License-Identifier: Apache-2.0
// Which labels and annotations of containers leave the node.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::agent {

inline constexpr std::size_t kMaxLabelRules = 256;

/// Immutable; thread-safe.
class LabelRules {
 public:
  /// All labels leave.
  LabelRules() = default;
  /// `rules`: patterns of keys, where "*" stands for anything; the first that matches decides, one
  /// with "!" in front keeps the label here. What none matches stays here.
  /// Errors: kInvalidArgument (too many, an empty one).
  static Result<LabelRules> create(const std::vector<std::string>& rules);

  bool lets_out(std::string_view key) const;
  /// Removes from `labels` what stays.
  void apply(std::map<std::string, std::string>& labels) const;

 private:
  struct Rule {
    std::string pattern;
    bool lets_out = true;
  };
  std::vector<Rule> rules_{{"*", true}};
};

/// Whether `text` is `pattern`, in which "*" stands for any bytes, also none. Time and space: at
/// most their sizes' product, and constant.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace assay::agent
