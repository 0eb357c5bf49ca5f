// SPDX-License-Identifier: Apache-2.0
// Foreign JSON, read leniently: what is absent or of another type is empty, text becomes plain and
// short. Internal to common/scan.
#pragma once

#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/catalog/scan_report.h"

namespace assay::scan {

using Json = nlohmann::json;

/// Parses `text`, leaving out members that no reader looks at and that make reports large.
/// Errors: kCorrupt (says at which byte), kLimitExceeded (more than 64 levels, or 8 million
/// values).
Result<Json> parse_report(std::string_view text);

/// The member, or a JSON null.
const Json& member(const Json& object, std::string_view key);
/// The member below members: member(member(object, "a"), "b").
const Json& member(const Json& object, std::initializer_list<std::string_view> keys);
/// The elements of the member when it is an array; else an empty array.
const Json& list(const Json& object, std::string_view key);
/// Text as it is kept: plain, at most kMaxScanText bytes; "" when it is no text. Numbers are text.
std::string text(const Json& value);
std::string text(const Json& object, std::string_view key);
/// The same, of any length: for messages that are searched.
std::string_view raw_text(const Json& object, std::string_view key);
/// Texts of an array, empty ones left out, at most `max`. Errors: kLimitExceeded.
Result<std::vector<std::string>> texts(const Json& object, std::string_view key, std::size_t max);
/// `parts` with `separator` between them, empty ones left out, at most kMaxScanText bytes.
std::string joined(const std::vector<std::string>& parts, std::string_view separator);

/// RFC 3339 with any offset; none for what is no time, and for Go's zero time.
std::optional<WallTime> time(std::string_view text);

/// "sha256:…" of the member; none when it is absent or empty. Errors: kCorrupt (no SHA-256).
template <typename D>
Result<std::optional<D>> digest(const Json& object, std::string_view key) {
  const std::string spelled = text(object, key);
  if (spelled.empty()) return std::optional<D>();
  auto parsed = D::parse(spelled);
  if (parsed) return std::optional<D>(*parsed);
  return Error{ErrorCode::kCorrupt,
               "\"" + std::string(key) + "\" is no SHA-256 digest: " + spelled.substr(0, 80)};
}
/// "NAME@sha256:…" or "sha256:…": the digest, none when there is none.
std::optional<Sha256> digest_in_reference(std::string_view reference);

/// Adds references (names and digests) to the identity; more than kMaxScanNames are left out, as
/// they only ever help.
void add_name(catalog::ImageIdentity& image, const std::string& name);
void add_reference(catalog::ImageIdentity& image, const std::string& reference);

/// Adds an alias that is neither empty, `id`, nor there already.
void add_alias(catalog::ScanFinding& finding, const std::string& alias);

/// Which of several layers lies lowest; those that are not in the stack lie above all that are.
class LayerOrder {
 public:
  /// `stack`: bottom first; may be empty, then the first one that is asked about stays.
  explicit LayerOrder(const std::vector<DiffId>& stack);
  /// Replaces `lowest` by `layer` when it lies lower; nothing when it is no digest.
  void take_lower(std::optional<DiffId>& lowest, const std::string& layer) const;

 private:
  std::map<DiffId, std::size_t> positions_;
};

/// Errors: kLimitExceeded (so many that memory would be at stake, before repeated ones are merged).
Result<void> add_finding(catalog::ScanReport& report, catalog::ScanFinding finding);

/// The error of a member that is not there.
Error missing(std::string_view what);

}  // namespace assay::scan
