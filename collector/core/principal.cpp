// SPDX-License-Identifier: Apache-2.0
#include "collector/core/principal.h"

#include <algorithm>

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::string_view kNodePrefix = "assay:node:";
constexpr std::string_view kUserPrefix = "assay:user:";
constexpr std::string_view kAdminPrefix = "assay:admin:";
constexpr std::size_t kMaxNameBytes = 253;  // RFC 1123 host names, Kubernetes node names

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

std::string node_uri(const NodeKey& node) {
  return std::string(kNodePrefix) + node.text();
}

std::string user_uri(const std::string& user, bool is_admin) {
  return std::string(is_admin ? kAdminPrefix : kUserPrefix) + user;
}

Result<Principal> principal_from_uris(const std::vector<std::string>& uris) {
  if (uris.size() != 1)
    return Error{ErrorCode::kUntrusted,
                 "the client certificate has " + std::to_string(uris.size()) +
                     " URI names, one is expected: assay:node:CLUSTER/NAME, assay:user:NAME or "
                     "assay:admin:NAME"};
  const std::string_view uri = uris.front();
  Principal principal;
  principal.is_admin = uri.starts_with(kAdminPrefix);
  if (principal.is_admin || uri.starts_with(kUserPrefix)) {
    principal.role = Role::kUser;
    principal.user = uri.substr(principal.is_admin ? kAdminPrefix.size() : kUserPrefix.size());
    if (is_valid_name(principal.user)) return principal;
  } else if (uri.starts_with(kNodePrefix)) {
    const std::string_view rest = uri.substr(kNodePrefix.size());
    const auto slash = rest.find('/');
    principal.role = Role::kNode;
    principal.node.cluster = rest.substr(0, slash);
    if (slash != std::string_view::npos) principal.node.node = rest.substr(slash + 1);
    if (is_valid_name(principal.node.cluster) && is_valid_name(principal.node.node))
      return principal;
  }
  return Error{ErrorCode::kUntrusted, "the client certificate names \"" +
                                          escape_untrusted(uri, 100) +
                                          "\", expected is assay:node:CLUSTER/NAME, "
                                          "assay:user:NAME or assay:admin:NAME"};
}

}  // namespace assay::collector
