// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_file.h"

#include <algorithm>
#include <set>

#include "common/base/encoding.h"
#include "common/catalog/exemption.h"
#include "common/catalog/file_set.h"
#include "common/catalog/log.h"
#include "common/catalog/sandbox.h"
#include "common/config/records.h"

namespace assay::cli {
namespace {

using catalog::Exemption;
using catalog::Policy;
using catalog::Rung;

constexpr const char* kExemptions = "exemptions";

std::string word(Rung rung) {
  return std::string(to_string(rung));
}

config::Table<PolicyFile> make_table() {
  const auto policy = [](auto member) {
    return [member](PolicyFile & file) -> auto& {
      return file.policy.*member;
    };
  };
  const auto sandbox = [](auto member) {
    return [member](PolicyFile & file) -> auto& {
      return file.policy.sandbox.*member;
    };
  };
  config::Table<PolicyFile> table("");
  table.text("required_rung", &PolicyFile::required_rung,
             {.text = "how strong the evidence of a base must be for `approved`",
              .values = {word(Rung::kShape), word(Rung::kContent), word(Rung::kExact)}});
  const std::vector<std::string> rungs{word(Rung::kContained), word(Rung::kClaimed),
                                       word(Rung::kShape), word(Rung::kContent),
                                       word(Rung::kExact)};
  table.text("rungs.deprecated", &PolicyFile::deprecated_rung,
             {.text = "how strong it must be for `deprecated`; below it a run is `pending`",
              .values = rungs});
  table.text("rungs.expired", &PolicyFile::expired_rung,
             {.text = "likewise for `expired`", .values = rungs});
  table.text("rungs.revoked", &PolicyFile::revoked_rung,
             {.text = "likewise for `revoked`", .values = rungs});
  table.duration(
      "pending_deadline", policy(&Policy::pending_deadline),
      {.text = "how long a run may wait for that evidence before it is a finding", .max = "7d"});
  table.duration(
      "freshness.since_build", &PolicyFile::since_build,
      {.text = "how long after it was built a base stays approved (0s: no rule)", .max = "3650d"});
  table.duration(
      "freshness.since_scan", &PolicyFile::since_scan,
      {.text = "how long after its last scan a base stays approved (0s: no rule)", .max = "3650d"});
  table.boolean("scan.required", policy(&Policy::requires_scan),
                {.text = "a base of which no scan is known is not approved"});
  const auto limit = [&](const char* name, auto member, const char* severity) {
    table.integer(name, member,
                  {.text = std::string("how many ") + severity +
                           " the last scan of an approved base may show (-1: any number)",
                   .unit = "findings",
                   .min = "-1",
                   .max = "1000000"});
  };
  limit("scan.max_critical", &PolicyFile::max_critical, "CRITICAL");
  limit("scan.max_high", &PolicyFile::max_high, "HIGH");
  limit("scan.max_medium", &PolicyFile::max_medium, "MEDIUM");
  limit("scan.max_low", &PolicyFile::max_low, "LOW");
  limit("scan.max_unknown", &PolicyFile::max_unknown, "UNKNOWN");
  table.integer("contained.share_percent", policy(&Policy::contained_share_percent),
                {.text = "how much of a base's weight must be in the files of a flattened image",
                 .unit = "%",
                 .min = "1",
                 .max = "100"});
  table.integer("contained.own_percent", policy(&Policy::contained_own_percent),
                {.text = "how much of what tells a base from another one must be there",
                 .unit = "%",
                 .min = "1",
                 .max = "100"});
  table.integer("contained.min_files", policy(&Policy::contained_min_files),
                {.text = "how many of a base's files must be there",
                 .unit = "files",
                 .min = "1",
                 .max = std::to_string(catalog::kMaxFileSetEntries)});
  table.list("sandbox.bases", sandbox(&catalog::SandboxRule::bases),
             {.text = "bases, NAME or NAME:VERSION, that pods' sandboxes may stand on; one on "
                      "another base is a finding (none: any base)"});
  table.list("sandbox.accepts", sandbox(&catalog::SandboxRule::accepts),
             {.text = "verdicts that are no finding on a sandbox",
              .values = catalog::acceptable_on_sandboxes()});
  table.text("rogue", &PolicyFile::rogue,
             {.text = "what becomes of a container that no runtime of its node knows",
              .values = {kReportRogue, kIgnoreRogue}});
  return table;
}

std::optional<std::uint64_t> limit_of(std::int64_t value) {
  if (value == kAnyNumber) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

std::optional<std::chrono::seconds> length_of(std::chrono::seconds value) {
  if (value == std::chrono::seconds(0)) return std::nullopt;
  return value;
}

Result<Policy> policy_of(const PolicyFile& file) {
  Policy policy = file.policy;
  ASSAY_ASSIGN(policy.required_rung, catalog::parse_rung(file.required_rung));
  ASSAY_ASSIGN(policy.deprecated_rung, catalog::parse_rung(file.deprecated_rung));
  ASSAY_ASSIGN(policy.expired_rung, catalog::parse_rung(file.expired_rung));
  ASSAY_ASSIGN(policy.revoked_rung, catalog::parse_rung(file.revoked_rung));
  policy.since_build = length_of(file.since_build);
  policy.since_scan = length_of(file.since_scan);
  policy.severity_limits = {limit_of(file.max_critical), limit_of(file.max_high),
                            limit_of(file.max_medium), limit_of(file.max_low),
                            limit_of(file.max_unknown)};
  policy.reports_rogue = file.rogue != kIgnoreRogue;
  return policy;
}

/// Of the lists, which the table does not check.
std::vector<std::string> sandbox_problems(const catalog::SandboxRule& rule) {
  std::vector<std::string> problems;
  if (rule.bases.size() > catalog::kMaxSandboxBases)
    problems.push_back("sandbox.bases: more than " + std::to_string(catalog::kMaxSandboxBases));
  for (const std::string& base : rule.bases)
    if (const auto id = catalog::BaseId::parse(base);
        !id || base.size() > catalog::kMaxSelectorBytes)
      problems.push_back("sandbox.bases: \"" + escape_untrusted(base, 100) +
                         "\" is no base's NAME or NAME:VERSION");
  if (std::set(rule.accepts.begin(), rule.accepts.end()).size() != rule.accepts.size())
    problems.emplace_back("sandbox.accepts: names a verdict twice");
  return problems;
}

/// One entry of `exemptions`; what is wrong with it is added to `problems`.
Exemption exemption_of(const config::Record& record, WallTime now,
                       std::vector<std::string>& problems) {
  const auto problem = [&](const char* field, const std::string& text) {
    const auto place = record.places.find(field);
    problems.push_back((place == record.places.end() ? record.place : place->second) + ": " +
                       kExemptions + "." + field + ": " + text);
  };
  Exemption exemption;
  exemption.base = record.text("base");
  exemption.pod_namespace = record.text("namespace");
  exemption.workload = record.text("workload");
  exemption.container = record.text("container");
  exemption.image = record.text("image");
  if (const auto labels = record.maps.find("labels"); labels != record.maps.end())
    exemption.labels = labels->second;
  exemption.owner = record.text("owner");
  exemption.reason = record.text("reason");
  const std::string until = record.text("until");
  for (const auto& [field, text] : record.texts) {
    const std::size_t most =
        field == "reason" ? catalog::kMaxTextBytes : catalog::kMaxSelectorBytes;
    if (text.size() > most)
      problem(field.c_str(), "longer than " + std::to_string(most) + " bytes");
  }
  for (const auto& [key, value] : exemption.labels)
    if (std::max(key.size(), value.size()) > catalog::kMaxSelectorBytes)
      problem("labels", "a key or a value is longer than " +
                            std::to_string(catalog::kMaxSelectorBytes) + " bytes");
  if (!exemption.base.empty() && exemption.base.size() <= catalog::kMaxSelectorBytes)
    if (const auto id = catalog::BaseId::parse(exemption.base); !id)
      problem("base", id.error().message);
  if (!catalog::has_selector(exemption))
    problem("base", "say whom it is for: namespace, workload, labels, container or image");
  if (exemption.labels.size() > catalog::kMaxExemptionLabels)
    problem("labels", "more than " + std::to_string(catalog::kMaxExemptionLabels));
  if (until.empty()) return exemption;
  const auto end = parse_rfc3339(until.size() == 10 ? until + "T00:00:00Z" : until);
  if (!end)
    problem("until", "a date (2026-12-31) or a time in UTC (2026-12-31T18:00:00Z) is wanted");
  else if (*end <= now)
    problem("until", to_rfc3339(*end, 0) + " has passed already: remove the exemption");
  else
    exemption.until = *end;
  return exemption;
}

}  // namespace

const config::Table<PolicyFile>& policy_table() {
  static const config::Table<PolicyFile> table = make_table();
  return table;
}

Result<Policy> read_policy_file(const std::string& file, WallTime now) {
  config::Sources sources;
  sources.file = file;
  sources.record_keys = {kExemptions};
  const auto loaded = policy_table().load(sources);
  ASSAY_ASSIGN(config::Records read, config::read_records(file, kExemptions,
                                                          {{.name = "base", .is_required = true},
                                                           {.name = "namespace"},
                                                           {.name = "workload"},
                                                           {.name = "labels", .is_map = true},
                                                           {.name = "container"},
                                                           {.name = "image"},
                                                           {.name = "owner", .is_required = true},
                                                           {.name = "reason", .is_required = true},
                                                           {.name = "until", .is_required = true}},
                                                          catalog::kMaxExemptions));
  std::vector<Exemption> exemptions;
  for (const config::Record& record : read.records)
    exemptions.push_back(exemption_of(record, now, read.problems));
  if (loaded)
    for (std::string& problem : sandbox_problems(loaded->config.policy.sandbox))
      read.problems.push_back(file + ": " + std::move(problem));
  if (!loaded && read.problems.empty()) return loaded.error();
  if (!read.problems.empty()) {
    Error error = config::to_error(read.problems);
    if (!loaded) error.message = loaded.error().message + "\n" + error.message;
    return error;
  }
  ASSAY_ASSIGN(Policy policy, policy_of(loaded->config));
  policy.exemptions = std::move(exemptions);
  return policy;
}

}  // namespace assay::cli
