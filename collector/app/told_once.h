// SPDX-License-Identifier: Apache-2.0
// A problem that is looked for again and again, and told once.
#pragma once

#include <string>
#include <utility>

namespace assay::collector {

/// Not thread-safe.
class ToldOnce {
 public:
  /// Whether `problem` is one ("" is none) and another than at the last look.
  bool is_news(const std::string& problem) {
    return std::exchange(problem_, problem) != problem && !problem.empty();
  }

 private:
  std::string problem_;
};

}  // namespace assay::collector
