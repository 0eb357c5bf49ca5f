// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_yaml.h"

#include <map>
#include <utility>
#include <vector>

#include "cli/output/document.h"
#include "cli/policy_file.h"
#include "common/output/json.h"

namespace assay::cli {
namespace {

using catalog::Exemption;
using catalog::Policy;

constexpr std::size_t kEscapeBytes = 6;  // \uXXXX

std::string length_text(std::chrono::seconds length) {
  return config::to_text(config::Type::kDuration,
                         std::int64_t{std::chrono::nanoseconds(length).count()});
}

std::string limit_text(const std::optional<std::uint64_t>& limit) {
  return limit ? std::to_string(*limit) : std::to_string(kAnyNumber);
}

/// A flow sequence; names of bases and verdicts need no quotes but for their colons.
std::string list_text(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "[" : ", ") + ("\"" + word + "\"");
  return text.empty() ? text : text + "]";
}

/// By the names of policy_table().
std::map<std::string, std::string> texts_of(const Policy& policy) {
  const std::chrono::seconds none{0};
  const catalog::SeverityLimits& limits = policy.severity_limits;
  return {{"required_rung", std::string(to_string(policy.required_rung))},
          {"rungs.deprecated", std::string(to_string(policy.deprecated_rung))},
          {"rungs.expired", std::string(to_string(policy.expired_rung))},
          {"rungs.revoked", std::string(to_string(policy.revoked_rung))},
          {"pending_deadline", length_text(policy.pending_deadline)},
          {"freshness.since_build", length_text(policy.since_build.value_or(none))},
          {"freshness.since_scan", length_text(policy.since_scan.value_or(none))},
          {"scan.required", policy.requires_scan ? "true" : "false"},
          {"scan.max_critical", limit_text(limits.critical)},
          {"scan.max_high", limit_text(limits.high)},
          {"scan.max_medium", limit_text(limits.medium)},
          {"scan.max_low", limit_text(limits.low)},
          {"scan.max_unknown", limit_text(limits.unknown)},
          {"contained.share_percent", std::to_string(policy.contained_share_percent)},
          {"contained.own_percent", std::to_string(policy.contained_own_percent)},
          {"contained.min_files", std::to_string(policy.contained_min_files)},
          {"sandbox.bases", list_text(policy.sandbox.bases)},
          {"sandbox.accepts", list_text(policy.sandbox.accepts)},
          {"rogue", policy.reports_rogue ? kReportRogue : kIgnoreRogue}};
}

/// A double-quoted scalar. JSON's is one but for what lies beyond 16 bits: there YAML wants one
/// escape where JSON has two.
std::string quoted(const std::string& text) {
  std::string json = to_json(Document{.value = Value(text)});
  json.pop_back();  // the line's end
  for (std::size_t at = 0; at + 2 * kEscapeBytes <= json.size(); ++at) {
    if (json[at] != '\\') continue;
    if (json.compare(at, 3, "\\ud") != 0) {
      ++at;  // the escaped character
      continue;
    }
    const unsigned long high = std::stoul(json.substr(at + 2, 4), nullptr, 16);
    const unsigned long low = std::stoul(json.substr(at + kEscapeBytes + 2, 4), nullptr, 16);
    if (high < 0xd800) continue;
    char whole[12];
    std::snprintf(whole, sizeof(whole), "\\U%08lx",
                  0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    json.replace(at, 2 * kEscapeBytes, whole);
  }
  return json;
}

std::string exemption_text(const Exemption& exemption) {
  std::vector<std::pair<std::string, std::string>> fields{
      {"base", exemption.base},         {"namespace", exemption.pod_namespace},
      {"workload", exemption.workload}, {"container", exemption.container},
      {"image", exemption.image},       {"owner", exemption.owner},
      {"reason", exemption.reason},     {"until", to_rfc3339(exemption.until)}};
  std::string text;
  for (const auto& [name, value] : fields)
    if (!value.empty())
      text += (text.empty() ? "  - " : "    ") + name + ": " + quoted(value) + "\n";
  if (!exemption.labels.empty()) text += "    labels:\n";
  for (const auto& [name, value] : exemption.labels)
    text += "      " + quoted(name) + ": " + quoted(value) + "\n";
  return text;
}

std::string commented(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    out += "#" + text.substr(at, end + 1 - at);
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string policy_yaml(const Policy& policy, WallTime now) {
  const auto texts = texts_of(policy);
  std::string out, section;
  for (const config::Key& key : policy_table().keys()) {
    const std::string& text = texts.at(key.name);
    if (text == config::to_text(key.type, key.default_value)) continue;
    const std::size_t dot = key.name.find('.');
    if (dot == std::string::npos) {
      out += key.name + ": " + text + "\n";
      continue;
    }
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      out += section + ":\n";
    }
    out += "  " + key.name.substr(dot + 1) + ": " + text + "\n";
  }
  std::string exemptions, over;
  for (const Exemption& exemption : policy.exemptions)
    (exemption.until > now ? exemptions : over) += exemption_text(exemption);
  if (!exemptions.empty()) out += "exemptions:\n" + exemptions;
  if (!over.empty()) out += "# exemptions that are over:\n" + commented(over);
  return out.empty() ? "{}  # all defaults\n" : out;
}

}  // namespace assay::cli
