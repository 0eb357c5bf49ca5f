// SPDX-License-Identifier: Apache-2.0
// What `assay check` found out about one image, and how code scanning and test reports show it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/catalog/scan_summary.h"

namespace assay::cli {

struct GateReport {
  enum class Result { kAccepted, kNotAccepted, kNotJudged };
  Result result = Result::kNotJudged;
  std::string source;     ///< as it was named on the command line; untrusted, as all texts here
  std::string reference;  ///< the image's own name, may be ""
  std::string verdict;    ///< "" when it was not judged
  std::string base;       ///< NAME:VERSION, "" when none is known
  std::string reason;     ///< one sentence for people
  std::optional<WallTime> base_built_at;    ///< as the base's image claims
  std::optional<WallTime> base_changed_at;  ///< the last signed change of the base
  std::optional<catalog::ScanSummary> scan;
  struct Problem {
    std::string kind;  ///< a finding's kind; not-accepted, not-judged
    std::string subject;
    std::string reason;
    bool is_blocking = true;  ///< false: it is told, and the image is accepted all the same
  };
  std::vector<Problem> problems;
};

/// SARIF 2.1.0 with one run, as GitHub's code scanning takes it. Ends with a line feed.
std::string to_sarif(const GateReport& report);
/// JUnit XML with one test suite: a case that passes, or one for each problem.
std::string to_junit(const GateReport& report, WallTime now);

}  // namespace assay::cli
