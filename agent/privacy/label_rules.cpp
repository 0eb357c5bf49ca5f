// SPDX-License-Identifier: Apache-2.0
#include "agent/privacy/label_rules.h"

#include <algorithm>

namespace assay::agent {

bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  std::size_t star = std::string_view::npos, resume = 0;  // the last "*" and what it holds so far
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

Result<LabelRules> LabelRules::create(const std::vector<std::string>& rules) {
  if (rules.size() > kMaxLabelRules)
    return Error{ErrorCode::kInvalidArgument, "privacy.labels: at most 256 patterns"};
  LabelRules made;
  made.rules_.clear();
  for (const std::string& rule : rules) {
    const bool lets_out = !rule.starts_with('!');
    Rule one{rule.substr(lets_out ? 0 : 1), lets_out};
    if (one.pattern.empty())
      return Error{ErrorCode::kInvalidArgument,
                   "privacy.labels: a pattern is empty; \"*\" stands for every key, [] for none"};
    made.rules_.push_back(std::move(one));
  }
  return made;
}

bool LabelRules::lets_out(std::string_view key) const {
  const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& one) {
    return matches_pattern(one.pattern, key);
  });
  return rule != rules_.end() && rule->lets_out;
}

void LabelRules::apply(std::map<std::string, std::string>& labels) const {
  std::erase_if(labels, [this](const auto& label) { return !lets_out(label.first); });
}

}  // namespace assay::agent
