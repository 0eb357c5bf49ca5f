// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/base_image.h"

#include "common/base/encoding.h"
#include "common/catalog/names.h"

namespace assay::catalog {
namespace {

constexpr Names<BaseStatus, 4> kStatuses{{{BaseStatus::kDraft, "draft"},
                                          {BaseStatus::kApproved, "approved"},
                                          {BaseStatus::kDeprecated, "deprecated"},
                                          {BaseStatus::kRevoked, "revoked"}}};

constexpr std::size_t kMaxIdBytes = 255;
constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789._/-";

bool has_empty_part(std::string_view name) {
  return name.empty() || name.front() == '/' || name.back() == '/' ||
         name.find("//") != std::string_view::npos;
}

}  // namespace

std::string_view to_string(BaseStatus status) {
  return name_of(kStatuses, status);
}

Result<BaseStatus> parse_base_status(std::string_view text) {
  return value_of(kStatuses, text, "base status");
}

Result<BaseId> BaseId::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Error{ErrorCode::kInvalidArgument,
                 "\"" + escape_untrusted(text, 80) + "\" is no base name: " + std::string(why)};
  };
  if (text.empty()) return bad("it is empty");
  if (text.size() > kMaxIdBytes) return bad("longer than 255 bytes");
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const std::string_view version =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (name.find_first_not_of(kNameCharacters) != std::string_view::npos ||
      version.find_first_not_of(kNameCharacters) != std::string_view::npos)
    return bad("only a-z 0-9 . _ / - are allowed, and one \":\" before the version");
  if (has_empty_part(name)) return bad("a part of the name is empty");
  if (colon != std::string_view::npos && version.empty()) return bad("the version is empty");
  if (version.find('/') != std::string_view::npos) return bad("the version holds a \"/\"");
  return BaseId{std::string(name), std::string(version)};
}

}  // namespace assay::catalog
