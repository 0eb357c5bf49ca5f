// SPDX-License-Identifier: Apache-2.0
#include "common/scan/json_view.h"

#include <algorithm>
#include <array>

#include "common/base/encoding.h"

namespace assay::scan {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxMentions = 200'000;  // some tools tell one finding a hundred times
constexpr std::size_t kMaxValues = 8'000'000;

/// Prose, links and keys of the scanner itself: most of a report's bytes.
constexpr std::array<std::string_view, 16> kLeftOut{
    "CVSS",         "CweIDs",         "Description", "History", "References", "advisories",
    "cpes",         "cvss",           "description", "history", "licenses",   "licensesPolicy",
    "matchDetails", "proofOfConcept", "remediation", "urls"};

const Json& null_value() {
  static const Json value;
  return value;
}

/// The offset of an RFC 3339 time in minutes, taken off `text`; Z is 0.
std::optional<int> take_offset(std::string& text) {
  if (text.ends_with('Z') || text.ends_with('z')) return 0;
  if (text.size() < 6) return std::nullopt;
  const std::string tail = text.substr(text.size() - 6);
  const auto is_digit = [&](std::size_t i) { return tail[i] >= '0' && tail[i] <= '9'; };
  if ((tail[0] != '+' && tail[0] != '-') || tail[3] != ':' || !is_digit(1) || !is_digit(2) ||
      !is_digit(4) || !is_digit(5))
    return std::nullopt;
  text.resize(text.size() - 6);
  text += 'Z';
  const int minutes =
      ((tail[1] - '0') * 10 + tail[2] - '0') * 60 + (tail[4] - '0') * 10 + tail[5] - '0';
  return tail[0] == '-' ? -minutes : minutes;
}

}  // namespace

Result<Json> parse_report(std::string_view text) {
  bool is_too_deep = false;
  std::size_t values = 0;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    is_too_deep |= depth > kMaxDepth;
    if (is_too_deep || ++values > kMaxValues) return false;  // nothing more is kept
    return event != Json::parse_event_t::key ||
           !std::ranges::binary_search(kLeftOut, std::string_view(parsed.get_ref<std::string&>()));
  };
  Json json;
  try {
    json = Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    return Error{ErrorCode::kCorrupt, "it is no JSON, or not all of it: it breaks off at byte " +
                                          std::to_string(error.byte) + " of " +
                                          std::to_string(text.size()) +
                                          "; let the scanner write it again"};
  } catch (const Json::exception& error) {
    return Error{ErrorCode::kCorrupt,
                 "it is no JSON that can be read: " + escape_untrusted(error.what(), 200)};
  }
  if (is_too_deep)
    return Error{ErrorCode::kLimitExceeded,
                 "it is JSON with more than " + std::to_string(kMaxDepth) + " levels"};
  if (values > kMaxValues)
    return Error{ErrorCode::kLimitExceeded,
                 "it is JSON with more than " + std::to_string(kMaxValues) + " values"};
  return json;
}

const Json& member(const Json& object, std::string_view key) {
  if (!object.is_object()) return null_value();
  const auto found = object.find(key);
  return found == object.end() ? null_value() : *found;
}

const Json& member(const Json& object, std::initializer_list<std::string_view> keys) {
  const Json* value = &object;
  for (const std::string_view key : keys)
    value = &member(*value, key);
  return *value;
}

const Json& list(const Json& object, std::string_view key) {
  static const Json empty = Json::array();
  const Json& found = member(object, key);
  return found.is_array() ? found : empty;
}

std::string text(const Json& value) {
  if (value.is_string())
    return to_plain_text(value.get_ref<const std::string&>(), catalog::kMaxScanText);
  if (value.is_number()) return value.dump();
  return "";
}

std::string text(const Json& object, std::string_view key) {
  return text(member(object, key));
}

std::string_view raw_text(const Json& object, std::string_view key) {
  const Json& value = member(object, key);
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>()) : "";
}

Result<std::vector<std::string>> texts(const Json& object, std::string_view key, std::size_t max) {
  std::vector<std::string> found;
  for (const Json& item : list(object, key)) {
    std::string one = text(item);
    if (one.empty()) continue;
    if (found.size() == max)
      return Error{ErrorCode::kLimitExceeded,
                   "\"" + std::string(key) + "\" has more than " + std::to_string(max) + " items"};
    found.push_back(std::move(one));
  }
  return found;
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string all;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!all.empty()) all += separator;
    all += part;
  }
  return to_plain_text(all, catalog::kMaxScanText);
}

std::optional<WallTime> time(std::string_view text) {
  if (text.size() > 64 || text.starts_with("0001-")) return std::nullopt;
  std::string spelled(text);
  const auto offset = take_offset(spelled);
  if (!offset) return std::nullopt;
  const auto parsed = parse_rfc3339(spelled);
  if (!parsed || *parsed < WallTime{} || parsed->time_since_epoch() > std::chrono::years(290))
    return std::nullopt;
  return *parsed - std::chrono::minutes(*offset);
}

std::optional<Sha256> digest_in_reference(std::string_view reference) {
  const auto at = reference.rfind("sha256:");
  if (at == std::string_view::npos) return std::nullopt;
  auto parsed = Sha256::parse(reference.substr(at));
  if (!parsed) return std::nullopt;
  return *parsed;
}

void add_name(catalog::ImageIdentity& image, const std::string& name) {
  if (!name.empty() && image.names.size() < catalog::kMaxScanNames &&
      std::ranges::count(image.names, name) == 0)
    image.names.push_back(name);
}

void add_reference(catalog::ImageIdentity& image, const std::string& reference) {
  const auto digest = digest_in_reference(reference);
  if (!digest) return add_name(image, reference);
  if (image.manifests.size() < catalog::kMaxScanNames &&
      std::ranges::count(image.manifests, *digest) == 0)
    image.manifests.push_back(*digest);
}

void add_alias(catalog::ScanFinding& finding, const std::string& alias) {
  if (alias.empty() || alias == finding.id || finding.aliases.size() >= catalog::kMaxScanIds ||
      std::ranges::count(finding.aliases, alias) > 0)
    return;
  finding.aliases.push_back(alias);
}

LayerOrder::LayerOrder(const std::vector<DiffId>& stack) {
  for (const DiffId& layer : stack)
    positions_.emplace(layer, positions_.size());
}

void LayerOrder::take_lower(std::optional<DiffId>& lowest, const std::string& layer) const {
  const auto parsed = DiffId::parse(layer);
  if (!parsed) return;
  const auto position = [&](const DiffId& of) {
    const auto found = positions_.find(of);
    return found == positions_.end() ? positions_.size() : found->second;
  };
  if (!lowest || position(*parsed) < position(*lowest)) lowest = *parsed;
}

Result<void> add_finding(catalog::ScanReport& report, catalog::ScanFinding finding) {
  if (report.findings.size() >= kMaxMentions)
    return Error{ErrorCode::kLimitExceeded,
                 "it mentions more than " + std::to_string(kMaxMentions) + " vulnerabilities"};
  report.findings.push_back(std::move(finding));
  return ok();
}

Error missing(std::string_view what) {
  return {ErrorCode::kCorrupt, std::string(what) +
                                   " is missing: the report is not whole; let the "
                                   "scanner write it again"};
}

}  // namespace assay::scan
