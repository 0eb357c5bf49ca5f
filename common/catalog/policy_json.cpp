// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/policy_json.h"

#include <algorithm>

#include "common/base/encoding.h"
#include "common/catalog/base_image.h"
#include "common/catalog/exemption.h"
#include "common/catalog/file_set.h"
#include "common/catalog/json_reader.h"
#include "common/catalog/log.h"
#include "common/catalog/policy_text.h"
#include "common/catalog/sandbox.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxPolicyBytes = 4U << 20;

bool has_default_containment(const Policy& policy) {
  const Policy usual;
  return policy.contained_share_percent == usual.contained_share_percent &&
         policy.contained_own_percent == usual.contained_own_percent &&
         policy.contained_min_files == usual.contained_min_files;
}

/// What is about single containers, whatever they stand on.
bool has_container_rules(const Policy& policy) {
  return policy.sandbox != SandboxRule{} || !policy.reports_rogue;
}

bool has_rules(const Policy& policy) {
  Policy without = policy;
  const Policy usual;
  without.deprecated_rung = usual.deprecated_rung;
  without.expired_rung = usual.expired_rung;
  without.revoked_rung = usual.revoked_rung;
  without.since_build = without.since_scan = std::nullopt;
  without.requires_scan = false;
  without.severity_limits = {};
  without.exemptions.clear();
  return without != policy;
}

/// An absent limit is not a limit of 0.
void append_optional(std::string& fields, const std::optional<std::uint64_t>& value) {
  append_field(fields, value ? std::to_string(*value) : std::string());
}

std::optional<std::uint64_t> seconds_of(const std::optional<std::chrono::seconds>& length) {
  if (!length) return std::nullopt;
  return static_cast<std::uint64_t>(length->count());
}

void append_exemption(std::string& fields, const Exemption& exemption) {
  for (const std::string* text :
       {&exemption.base, &exemption.pod_namespace, &exemption.workload, &exemption.container,
        &exemption.image, &exemption.owner, &exemption.reason})
    append_field(fields, *text);
  append_field(fields, to_rfc3339(exemption.until, 9));
  append_field(fields, std::uint64_t{exemption.labels.size()});
  for (const auto& [key, value] : exemption.labels) {
    append_field(fields, key);
    append_field(fields, value);
  }
}

void append_rules(std::string& fields, const Policy& policy) {
  for (const Rung rung : {policy.deprecated_rung, policy.expired_rung, policy.revoked_rung})
    append_field(fields, to_string(rung));
  append_optional(fields, seconds_of(policy.since_build));
  append_optional(fields, seconds_of(policy.since_scan));
  append_field(fields, std::uint64_t{policy.requires_scan ? 1U : 0U});
  const SeverityLimits& limits = policy.severity_limits;
  for (const auto* limit :
       {&limits.critical, &limits.high, &limits.medium, &limits.low, &limits.unknown})
    append_optional(fields, *limit);
  append_field(fields, std::uint64_t{policy.exemptions.size()});
  for (const Exemption& exemption : policy.exemptions)
    append_exemption(fields, exemption);
}

void append_container_rules(std::string& fields, const Policy& policy) {
  for (const auto* texts : {&policy.sandbox.bases, &policy.sandbox.accepts}) {
    append_field(fields, std::uint64_t{texts->size()});
    for (const std::string& text : *texts)
      append_field(fields, text);
  }
  append_field(fields, std::uint64_t{policy.reports_rogue ? 1U : 0U});
}

json limits_json(const SeverityLimits& limits) {
  json object = json::object();
  const auto add = [&](const char* name, const std::optional<std::uint64_t>& limit) {
    if (limit) object[name] = *limit;
  };
  add("critical", limits.critical);
  add("high", limits.high);
  add("medium", limits.medium);
  add("low", limits.low);
  add("unknown", limits.unknown);
  return object;
}

json exemption_json(const Exemption& exemption) {
  json object = {{"base", exemption.base},
                 {"owner", exemption.owner},
                 {"reason", exemption.reason},
                 {"until", to_rfc3339(exemption.until, 9)}};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  add("namespace", exemption.pod_namespace);
  add("workload", exemption.workload);
  add("container", exemption.container);
  add("image", exemption.image);
  if (!exemption.labels.empty()) object["labels"] = exemption.labels;
  return object;
}

json rules_json(const Policy& policy) {
  json object = {{"deprecated_rung", to_string(policy.deprecated_rung)},
                 {"expired_rung", to_string(policy.expired_rung)},
                 {"revoked_rung", to_string(policy.revoked_rung)},
                 {"requires_scan", policy.requires_scan},
                 {"severity_limits", limits_json(policy.severity_limits)},
                 {"exemptions", json::array()}};
  if (policy.since_build) object["since_build_seconds"] = policy.since_build->count();
  if (policy.since_scan) object["since_scan_seconds"] = policy.since_scan->count();
  for (const Exemption& exemption : policy.exemptions)
    object["exemptions"].push_back(exemption_json(exemption));
  return object;
}

json container_rules_json(const Policy& policy) {
  return {{"sandbox_bases", policy.sandbox.bases},
          {"sandbox_accepts", policy.sandbox.accepts},
          {"reports_rogue", policy.reports_rogue}};
}

/// All three or none; one that is 0 would name every base everywhere.
void read_containment(JsonReader& reader, Policy& policy) {
  if (reader.member("contained_share_percent", false) == nullptr &&
      reader.member("contained_own_percent", false) == nullptr &&
      reader.member("contained_min_files", false) == nullptr)
    return;
  const auto number = [&](const char* name, std::uint64_t max) {
    const std::uint64_t value = reader.number(name, true, max);
    if (value == 0) reader.fail(name, "is 0");
    return value;
  };
  policy.contained_share_percent =
      static_cast<std::uint32_t>(number("contained_share_percent", 100));
  policy.contained_own_percent = static_cast<std::uint32_t>(number("contained_own_percent", 100));
  policy.contained_min_files = number("contained_min_files", kMaxFileSetEntries);
}

Rung read_rung(JsonReader& reader, const char* name) {
  const auto rung = parse_rung(reader.text(name, true, 16));
  if (rung && *rung >= Rung::kContained) return *rung;
  reader.fail(name, "is not one of contained, claimed, shape, content, exact");
  return Rung::kContained;
}

std::optional<std::chrono::seconds> read_length(JsonReader& reader, const char* name) {
  if (reader.member(name, false) == nullptr) return std::nullopt;
  const auto seconds =
      reader.number(name, true, static_cast<std::uint64_t>(kMaxApprovalAge.count()));
  if (seconds == 0) reader.fail(name, "is 0");
  return std::chrono::seconds(seconds);
}

SeverityLimits read_limits(const json& object, std::optional<Error>& fault) {
  JsonReader reader(object, "policy.severity_limits", fault);
  SeverityLimits limits;
  const auto read = [&](const char* name, std::optional<std::uint64_t>& limit) {
    if (reader.member(name, false) != nullptr) limit = reader.number(name, true);
  };
  read("critical", limits.critical);
  read("high", limits.high);
  read("medium", limits.medium);
  read("low", limits.low);
  read("unknown", limits.unknown);
  reader.expect_no_more();
  return limits;
}

void read_labels(JsonReader& reader, Exemption& exemption) {
  const json* object = reader.member("labels", false);
  if (object == nullptr) return;
  if (!object->is_object()) return reader.fail("labels", "is not an object");
  if (object->size() > kMaxExemptionLabels)
    return reader.fail("labels", "has more than 16 members", ErrorCode::kLimitExceeded);
  for (const auto& item : object->items()) {
    if (!item.value().is_string()) return reader.fail("labels", "holds something but text");
    const auto& value = item.value().get_ref<const std::string&>();
    if (item.key().size() > kMaxSelectorBytes || value.size() > kMaxSelectorBytes)
      return reader.fail("labels", "holds an over-long text", ErrorCode::kLimitExceeded);
    exemption.labels.emplace(item.key(), value);
  }
}

Exemption read_exemption(const json& object, const std::string& where,
                         std::optional<Error>& fault) {
  JsonReader reader(object, where, fault);
  Exemption exemption;
  exemption.base = reader.text("base", true, kMaxSelectorBytes);
  if (reader.is_good() && !BaseId::parse(exemption.base))
    reader.fail("base", "is not a base's NAME or NAME:VERSION");
  exemption.pod_namespace = reader.text("namespace", false, kMaxSelectorBytes);
  exemption.workload = reader.text("workload", false, kMaxSelectorBytes);
  exemption.container = reader.text("container", false, kMaxSelectorBytes);
  exemption.image = reader.text("image", false, kMaxSelectorBytes);
  read_labels(reader, exemption);
  exemption.owner = reader.text("owner", true, kMaxSelectorBytes);
  exemption.reason = reader.text("reason", true, kMaxTextBytes);
  exemption.until = reader.time("until", true).value_or(WallTime{});
  reader.expect_no_more();
  if (!has_selector(exemption))
    reader.fail("base", "is exempt everywhere: say for which namespace, workload or container");
  if (exemption.owner.empty()) reader.fail("owner", "is empty");
  if (exemption.reason.empty()) reader.fail("reason", "is empty");
  return exemption;
}

void read_rules(const json& object, Policy& policy, std::optional<Error>& fault) {
  JsonReader reader(object, "policy.rules", fault);
  policy.deprecated_rung = read_rung(reader, "deprecated_rung");
  policy.expired_rung = read_rung(reader, "expired_rung");
  policy.revoked_rung = read_rung(reader, "revoked_rung");
  policy.since_build = read_length(reader, "since_build_seconds");
  policy.since_scan = read_length(reader, "since_scan_seconds");
  if (const json* required = reader.member("requires_scan", true)) {
    if (required->is_boolean())
      policy.requires_scan = required->get<bool>();
    else
      reader.fail("requires_scan", "is neither true nor false");
  }
  if (const json* limits = reader.member("severity_limits", true))
    policy.severity_limits = read_limits(*limits, fault);
  for (const json& exemption : reader.array("exemptions", true, kMaxExemptions)) {
    const std::string where =
        "policy.rules.exemptions[" + std::to_string(policy.exemptions.size()) + "]";
    policy.exemptions.push_back(read_exemption(exemption, where, fault));
  }
  reader.expect_no_more();
}

std::vector<std::string> read_texts(JsonReader& reader, const char* name, std::size_t max) {
  std::vector<std::string> texts;
  for (const json& item : reader.array(name, true, max)) {
    const auto* text = item.get_ptr<const json::string_t*>();
    if (text == nullptr || text->size() > kMaxSelectorBytes)
      reader.fail(name, "holds something but short text");
    else
      texts.push_back(*text);
  }
  return texts;
}

void read_container_rules(const json& object, Policy& policy, std::optional<Error>& fault) {
  JsonReader reader(object, "policy.containers", fault);
  SandboxRule& sandbox = policy.sandbox;
  sandbox.bases = read_texts(reader, "sandbox_bases", kMaxSandboxBases);
  for (const std::string& base : sandbox.bases)
    if (!BaseId::parse(base)) reader.fail("sandbox_bases", "holds no base's NAME or NAME:VERSION");
  sandbox.accepts = read_texts(reader, "sandbox_accepts", acceptable_on_sandboxes().size());
  for (const std::string& verdict : sandbox.accepts)
    if (std::ranges::find(acceptable_on_sandboxes(), verdict) == acceptable_on_sandboxes().end())
      reader.fail("sandbox_accepts", "is not of deprecated, expired, unknown, pending");
  if (const json* reports = reader.member("reports_rogue", true)) {
    if (reports->is_boolean())
      policy.reports_rogue = reports->get<bool>();
    else
      reader.fail("reports_rogue", "is neither true nor false");
  }
  reader.expect_no_more();
}

}  // namespace

std::string policy_fields(const Policy& policy) {
  const int version = has_container_rules(policy)       ? 4
                      : has_rules(policy)               ? 3
                      : has_default_containment(policy) ? 1
                                                        : 2;
  std::string fields;
  append_field(fields, std::string_view("assay-policy"));
  append_field(fields, std::to_string(version));
  append_field(fields, to_string(policy.required_rung));
  append_field(fields, static_cast<std::uint64_t>(policy.pending_deadline.count()));
  if (version == 1) return fields;
  append_field(fields, std::uint64_t{policy.contained_share_percent});
  append_field(fields, std::uint64_t{policy.contained_own_percent});
  append_field(fields, policy.contained_min_files);
  if (version >= 3) append_rules(fields, policy);
  if (version >= 4) append_container_rules(fields, policy);
  return fields;
}

json policy_json(const Policy& policy) {
  json object = {{"required_rung", to_string(policy.required_rung)},
                 {"pending_deadline_seconds", policy.pending_deadline.count()}};
  if (!has_default_containment(policy)) {
    object["contained_share_percent"] = policy.contained_share_percent;
    object["contained_own_percent"] = policy.contained_own_percent;
    object["contained_min_files"] = policy.contained_min_files;
  }
  if (has_rules(policy)) object["rules"] = rules_json(policy);
  if (has_container_rules(policy)) object["containers"] = container_rules_json(policy);
  return object;
}

Policy read_policy(const json& object, std::optional<Error>& fault) {
  JsonReader reader(object, "policy", fault);
  Policy policy;
  const auto rung = parse_rung(reader.text("required_rung", true, 16));
  if (!rung || *rung < kLowestApprovingRung)
    reader.fail("required_rung", "is not one of shape, content, exact");
  else
    policy.required_rung = *rung;
  policy.pending_deadline = std::chrono::seconds(reader.number(
      "pending_deadline_seconds", true, static_cast<std::uint64_t>(kMaxPendingDeadline.count())));
  read_containment(reader, policy);
  if (const json* rules = reader.member("rules", false)) read_rules(*rules, policy, fault);
  if (const json* rules = reader.member("containers", false))
    read_container_rules(*rules, policy, fault);
  reader.expect_no_more();
  return policy;
}

std::string to_json_text(const Policy& policy) {
  return policy_json(policy).dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Policy> policy_from_json(std::string_view text) {
  if (text.size() > kMaxPolicyBytes)
    return Error{ErrorCode::kLimitExceeded, "a policy is larger than 4 MiB"};
  try {
    std::optional<Error> fault;
    Policy policy = read_policy(json::parse(text.begin(), text.end()), fault);
    if (fault) return std::move(*fault);
    return policy;
  } catch (const json::exception& error) {
    return Error{ErrorCode::kCorrupt, "not JSON: " + escape_untrusted(error.what(), 200)};
  }
}

}  // namespace assay::catalog
