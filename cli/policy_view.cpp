// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_view.h"

#include <algorithm>

#include "cli/policy_file.h"

namespace assay::cli {
namespace {

using catalog::Exemption;
using catalog::Policy;

std::optional<std::int64_t> seconds_of(const std::optional<std::chrono::seconds>& length) {
  if (!length) return std::nullopt;
  return length->count();
}

/// As the key takes them.
std::string list_text(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ",") + word;
  return text;
}

/// Every key but the exemptions, with its path in the value tree and its header.
struct Row {
  const char* path;
  const char* header;
  Value value;
};

std::vector<Row> rows_of(const Policy& policy) {
  const catalog::SeverityLimits& limits = policy.severity_limits;
  return {
      {"required_rung", "Required rung", catalog::to_string(policy.required_rung)},
      {"rungs.deprecated", "Rung of deprecated", catalog::to_string(policy.deprecated_rung)},
      {"rungs.expired", "Rung of expired", catalog::to_string(policy.expired_rung)},
      {"rungs.revoked", "Rung of revoked", catalog::to_string(policy.revoked_rung)},
      {"pending_deadline_seconds", "Pending deadline (s)",
       std::int64_t{policy.pending_deadline.count()}},
      {"freshness.since_build_seconds", "Approved since build (s)", seconds_of(policy.since_build)},
      {"freshness.since_scan_seconds", "Approved since scan (s)", seconds_of(policy.since_scan)},
      {"scan.required", "Scan required", policy.requires_scan},
      {"scan.max_critical", "CRITICAL at most", limits.critical},
      {"scan.max_high", "HIGH at most", limits.high},
      {"scan.max_medium", "MEDIUM at most", limits.medium},
      {"scan.max_low", "LOW at most", limits.low},
      {"scan.max_unknown", "UNKNOWN at most", limits.unknown},
      {"contained.share_percent", "Contained: share (%)", policy.contained_share_percent},
      {"contained.own_percent", "Contained: own files (%)", policy.contained_own_percent},
      {"contained.min_files", "Contained: files at least", policy.contained_min_files},
      {"sandbox.bases", "Sandboxes stand on", list_text(policy.sandbox.bases)},
      {"sandbox.accepts", "Accepted on sandboxes", list_text(policy.sandbox.accepts)},
      {"rogue", "Rogue containers", policy.reports_rogue ? kReportRogue : kIgnoreRogue}};
}

Value exemption_value(const Exemption& exemption) {
  Object labels;
  for (const auto& [key, value] : exemption.labels)
    labels.emplace_back(key, value);
  return Object{{"base", exemption.base},         {"namespace", exemption.pod_namespace},
                {"workload", exemption.workload}, {"container", exemption.container},
                {"image", exemption.image},       {"labels", std::move(labels)},
                {"owner", exemption.owner},       {"reason", exemption.reason},
                {"until", exemption.until}};
}

std::string exemption_words(const Exemption& exemption) {
  std::string text = exemption.base;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += std::string(" ") + name + "=" + value;
  };
  add("namespace", exemption.pod_namespace);
  add("workload", exemption.workload);
  add("container", exemption.container);
  add("image", exemption.image);
  for (const auto& [key, value] : exemption.labels)
    add(key.c_str(), value);
  return text + " until " + to_rfc3339(exemption.until, 0) + " (" + exemption.owner + ")";
}

/// Of words, numbers, yes and no, and what is not set: a policy has nothing else.
bool is_same(const Value& a, const Value& b) {
  const auto equal = [&]<typename T>(const T*) {
    const T* left = std::get_if<T>(&a.storage());
    const T* right = std::get_if<T>(&b.storage());
    return left != nullptr && right != nullptr && *left == *right;
  };
  return (a.is_null() && b.is_null()) || equal(static_cast<std::string*>(nullptr)) ||
         equal(static_cast<std::int64_t*>(nullptr)) ||
         equal(static_cast<std::uint64_t*>(nullptr)) || equal(static_cast<bool*>(nullptr));
}

void add_exemptions(const Policy& of, const Policy& lacking, bool is_new, Array& changes) {
  for (const Exemption& exemption : of.exemptions) {
    if (std::ranges::find(lacking.exemptions, exemption) != lacking.exemptions.end()) continue;
    const Value words = exemption_words(exemption);
    changes.push_back(Object{{"key", "exemptions"},
                             {"before", is_new ? Value() : words},
                             {"after", is_new ? words : Value()}});
  }
}

}  // namespace

Value policy_value(const Policy& policy) {
  Object object;
  for (Row& row : rows_of(policy)) {
    const std::string path = row.path;
    const std::size_t dot = path.find('.');
    if (dot == std::string::npos) {
      object.emplace_back(path, std::move(row.value));
      continue;
    }
    const std::string section = path.substr(0, dot);
    if (object.empty() || object.back().first != section) object.emplace_back(section, Object{});
    Object nested = std::get<Object>(object.back().second.storage());
    nested.emplace_back(path.substr(dot + 1), std::move(row.value));
    object.back().second = std::move(nested);
  }
  Array exemptions;
  for (const Exemption& exemption : policy.exemptions)
    exemptions.push_back(exemption_value(exemption));
  object.emplace_back("exemptions", std::move(exemptions));
  return object;
}

std::vector<Column> policy_columns(const std::string& path) {
  std::vector<Column> columns;
  for (const Row& row : rows_of(Policy{}))
    columns.push_back({row.header, path + "." + row.path});
  return columns;
}

Section exemption_section(const std::string& path) {
  return {.title = "Exemptions",
          .path = path + ".exemptions",
          .columns = {{"BASE", "base"},
                      {"NAMESPACE", "namespace"},
                      {"WORKLOAD", "workload"},
                      {"CONTAINER", "container"},
                      {"IMAGE", "image"},
                      {"UNTIL", "until"},
                      {"OWNER", "owner"},
                      {"REASON", "reason"}}};
}

Array policy_changes(const Policy& before, const Policy& after) {
  Array changes;
  const std::vector<Row> old_rows = rows_of(before);
  const std::vector<Row> new_rows = rows_of(after);
  for (std::size_t i = 0; i < old_rows.size(); ++i)
    if (!is_same(old_rows[i].value, new_rows[i].value))
      changes.push_back(Object{
          {"key", old_rows[i].path}, {"before", old_rows[i].value}, {"after", new_rows[i].value}});
  add_exemptions(before, after, /*is_new=*/false, changes);
  add_exemptions(after, before, /*is_new=*/true, changes);
  return changes;
}

Section change_section() {
  return {.title = "What changes",
          .path = "changes",
          .columns = {{"KEY", "key"}, {"BEFORE", "before"}, {"AFTER", "after"}}};
}

}  // namespace assay::cli
