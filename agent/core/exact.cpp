// SPDX-License-Identifier: Apache-2.0
#include "agent/core/exact.h"

namespace assay::agent {
namespace {

// What a finding's reason has room for, with the words around it.
constexpr std::size_t kMaxTextBytes = 900;

std::string_view name_of(StreamPlace::Kind source) {
  return source == StreamPlace::Kind::kBlob ? "blob" : "tar-split";
}

void add(std::string& list, bool is_in, std::string_view word) {
  if (is_in) list.append(list.empty() ? "" : " and ").append(word);
}

}  // namespace

std::string_view to_string(ExactStatus status) {
  switch (status) {
    case ExactStatus::kExact:
      return "exact";
    case ExactStatus::kDiffers:
      return "differs";
    case ExactStatus::kNoSource:
      break;
  }
  return "no-source";
}

std::string difference_text(const ExactOutcome& outcome) {
  if (outcome.status != ExactStatus::kDiffers) return "";
  std::string text = "the store's " + std::string(name_of(outcome.source));
  if (!outcome.found) {
    text += " cannot be read: " + outcome.reason;
  } else if (outcome.is_other_diff_id) {
    text += " gives " + outcome.found->text();
    if (outcome.claimed) text += ", the store says " + outcome.claimed->text();
  } else {
    text += " gives the diff ID";
  }
  std::string others;
  add(others, outcome.is_other_shape, "shape");
  add(others, outcome.is_other_content, "content");
  if (!others.empty()) text += "; its " + others + " is not the directory's";
  std::uint64_t more = outcome.more_paths;
  std::string paths;
  for (const std::string& path : outcome.paths) {
    if (text.size() + paths.size() + path.size() > kMaxTextBytes) {
      ++more;
      continue;
    }
    paths += (paths.empty() ? ": " : "; ") + path;
  }
  text += paths;
  if (more != 0) text += (paths.empty() ? ": " : "; and ") + std::to_string(more) + " more";
  return text;
}

}  // namespace assay::agent
