// SPDX-License-Identifier: Apache-2.0
// Source: the format as Jenkins' and GitLab's readers take it (testsuites, testsuite, testcase with
// failure or error).
#include <algorithm>

#include "cli/output/gate_report.h"
#include "common/base/encoding.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxTextBytes = 4096;

/// For an attribute or a text; control characters are gone before, XML 1.0 has no way to write
/// them.
std::string escape(const std::string& text) {
  std::string out;
  for (const char one : to_plain_text(text, kMaxTextBytes)) {
    if (one == '&')
      out += "&amp;";
    else if (one == '<')
      out += "&lt;";
    else if (one == '>')
      out += "&gt;";
    else if (one == '"')
      out += "&quot;";
    else
      out += one;
  }
  return out;
}

std::string test_case(const std::string& source, const std::string& name, const std::string& body) {
  return "    <testcase classname=\"assay.check\" name=\"" + escape(source + ": " + name) + "\"" +
         (body.empty() ? "/>\n" : ">\n" + body + "    </testcase>\n");
}

std::string problem_body(const GateReport::Problem& problem) {
  if (!problem.is_blocking)
    return "      <system-out>" + escape(problem.reason) + "</system-out>\n";
  const std::string element = problem.kind == "not-judged" ? "error" : "failure";
  return "      <" + element + " type=\"" + escape(problem.kind) + "\" message=\"" +
         escape(problem.reason) + "\"/>\n";
}

std::string property(const std::string& name, const std::string& value) {
  return "      <property name=\"" + name + "\" value=\"" + escape(value) + "\"/>\n";
}

std::string properties(const GateReport& report) {
  std::string text = property("verdict", report.verdict) + property("base", report.base);
  if (report.base_built_at) text += property("base_built_at", to_rfc3339(*report.base_built_at, 0));
  if (report.base_changed_at)
    text += property("base_changed_at", to_rfc3339(*report.base_changed_at, 0));
  if (!report.scan) return text;
  const catalog::SeverityCounts& counts = report.scan->counts;
  for (const auto& [name, count] : {std::pair{"unknown", counts.unknown},
                                    {"low", counts.low},
                                    {"medium", counts.medium},
                                    {"high", counts.high},
                                    {"critical", counts.critical}})
    text += property(std::string("vulnerabilities_") + name, std::to_string(count));
  return text;
}

}  // namespace

std::string to_junit(const GateReport& report, WallTime now) {
  std::string cases;
  std::size_t failures = 0, errors = 0, count = 0;
  for (const GateReport::Problem& problem : report.problems) {
    ++count;
    errors += problem.kind == "not-judged" ? 1 : 0;
    failures += problem.is_blocking && problem.kind != "not-judged" ? 1 : 0;
    cases += test_case(report.source,
                       problem.kind + (problem.subject.empty() ? "" : " " + problem.subject),
                       problem_body(problem));
  }
  if (report.problems.empty()) {
    ++count;
    cases += test_case(report.source, "stands on an approved base", "");
  }
  const std::string numbers = "tests=\"" + std::to_string(count) + "\" failures=\"" +
                              std::to_string(failures) + "\" errors=\"" + std::to_string(errors) +
                              "\"";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites " + numbers +
         ">\n  <testsuite name=\"assay check\" " + numbers +
         " skipped=\"0\" time=\"0\" timestamp=\"" + to_rfc3339(now, 0) + "\">\n    <properties>\n" +
         properties(report) + "    </properties>\n" + cases + "  </testsuite>\n</testsuites>\n";
}

}  // namespace assay::cli
