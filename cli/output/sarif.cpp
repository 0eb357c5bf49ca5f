// SPDX-License-Identifier: Apache-2.0
// Source: OASIS SARIF 2.1.0; GitHub "SARIF support for code scanning" (rules, locations relative to
// the repository, partialFingerprints).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/output/gate_report.h"
#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTextBytes = 4096;

struct Rule {
  const char* id;
  const char* text;
  const char* severity;  ///< GitHub's scale, 0 to 10
};

constexpr Rule kRules[] = {
    {"unknown-base", "The image stands on no base that the catalog knows", "7.0"},
    {"deprecated-base", "The image stands on a deprecated base", "4.0"},
    {"revoked-base", "The image stands on a revoked base", "9.0"},
    {"expired-base", "The image stands on a base whose date has passed", "7.0"},
    {"unverified", "The evidence for the image's base is too weak", "5.0"},
    {"mismatch", "The image's bytes contradict what it says it stands on", "8.0"},
    {"not-accepted", "The image is not accepted", "7.0"},
    {"not-judged", "The image could not be judged", "5.0"}};

std::string clean(const std::string& text) {
  return to_plain_text(text, kMaxTextBytes);
}

std::size_t rule_index(const std::string& kind) {
  for (std::size_t i = 0; i < std::size(kRules); ++i)
    if (kind == kRules[i].id) return i;
  return std::size(kRules) - 2;  // not-accepted
}

json rules_json() {
  json rules = json::array();
  for (const Rule& rule : kRules)
    rules.push_back(
        {{"id", rule.id},
         {"name", rule.id},
         {"shortDescription", {{"text", rule.text}}},
         {"fullDescription", {{"text", std::string(rule.text) + "."}}},
         {"help", {{"text", "Build the image on an approved base: assay base list."}}},
         {"defaultConfiguration", {{"level", "error"}}},
         {"properties",
          {{"tags", {"security", "supply-chain"}}, {"security-severity", rule.severity}}}});
  return rules;
}

/// A relative URI reference: GitHub places results in the repository.
std::string uri_of(const std::string& source) {
  const std::size_t colon = source.find(':');
  std::string path = colon == std::string::npos ? source : source.substr(colon + 1);
  path.erase(0, std::min(path.find_first_not_of("/."), path.size()));
  std::string uri;
  for (const char one : path) {
    const auto byte = static_cast<unsigned char>(one);
    const bool is_plain =
        std::isalnum(byte) != 0 || std::string_view("-._~/").find(one) != std::string_view::npos;
    uri += is_plain ? std::string(1, one) : "%" + to_hex({&one, 1});
  }
  return uri.empty() ? "image" : uri;
}

std::string fingerprint_of(const GateReport& report, const GateReport::Problem& problem) {
  std::string fields;  // neither times nor counts: the same problem tomorrow is the same
  for (const std::string& text : {problem.kind, problem.subject, uri_of(report.source)})
    append_field(fields, text);
  return sha256(fields).hex();
}

json result_json(const GateReport& report, const GateReport::Problem& problem) {
  const std::size_t rule = rule_index(problem.kind);
  return {{"ruleId", kRules[rule].id},
          {"ruleIndex", rule},
          {"level", problem.is_blocking ? "error" : "warning"},
          {"message", {{"text", clean(problem.reason)}}},
          {"locations",
           {{{"physicalLocation",
              {{"artifactLocation", {{"uri", uri_of(report.source)}}},
               {"region", {{"startLine", 1}}}}}}}},
          {"partialFingerprints", {{"assay/v1", fingerprint_of(report, problem)}}},
          {"properties", {{"subject", clean(problem.subject)}, {"kind", clean(problem.kind)}}}};
}

json properties_json(const GateReport& report) {
  json properties = {{"verdict", report.verdict},
                     {"base", report.base},
                     {"isAccepted", report.result == GateReport::Result::kAccepted},
                     {"reference", clean(report.reference)}};
  if (report.base_built_at) properties["baseBuiltAt"] = to_rfc3339(*report.base_built_at, 0);
  if (report.base_changed_at) properties["baseChangedAt"] = to_rfc3339(*report.base_changed_at, 0);
  if (!report.scan) return properties;
  const catalog::SeverityCounts& counts = report.scan->counts;
  properties["vulnerabilities"] = {{"total", counts.total()}, {"unknown", counts.unknown},
                                   {"low", counts.low},       {"medium", counts.medium},
                                   {"high", counts.high},     {"critical", counts.critical}};
  return properties;
}

}  // namespace

std::string to_sarif(const GateReport& report) {
  json results = json::array();
  json notifications = json::array();
  for (const GateReport::Problem& problem : report.problems)
    if (problem.kind == "not-judged")
      notifications.push_back({{"level", "error"}, {"message", {{"text", clean(problem.reason)}}}});
    else
      results.push_back(result_json(report, problem));
  const json run = {
      {"tool",
       {{"driver",
         {{"name", "assay"}, {"semanticVersion", ASSAY_VERSION}, {"rules", rules_json()}}}}},
      {"invocations",
       {{{"executionSuccessful", report.result != GateReport::Result::kNotJudged},
         {"toolExecutionNotifications", std::move(notifications)}}}},
      {"results", std::move(results)},
      {"properties", properties_json(report)}};
  const json object = {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                       {"version", "2.1.0"},
                       {"runs", {run}}};
  return object.dump(2, ' ', true, json::error_handler_t::replace) + "\n";
}

}  // namespace assay::cli
