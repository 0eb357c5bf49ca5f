// SPDX-License-Identifier: Apache-2.0
#include "collector/core/principal.h"

#include <algorithm>

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::string_view kNodePrefix = "assay:node:";
constexpr std::string_view kPrefix = "assay:";
constexpr std::string_view kForms =
    "assay:node:CLUSTER/NAME, assay:viewer:NAME, assay:approver:NAME or assay:admin:NAME";
constexpr Role kPeople[] = {Role::kViewer, Role::kApprover, Role::kAdmin};
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

std::string user_uri(const std::string& user, Role role) {
  return std::string(kPrefix) + std::string(name_of(role)) + ":" + user;
}

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kNode:
      return "node";
    case Role::kViewer:
      return "viewer";
    case Role::kApprover:
      return "approver";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

Result<Role> role_named(std::string_view name) {
  for (const Role role : kPeople)
    if (name_of(role) == name) return role;
  return Error{ErrorCode::kInvalidArgument,
               "role \"" + escape_untrusted(name, 80) + "\": there are viewer, approver and admin"};
}

Result<Principal> principal_from_uris(const std::vector<std::string>& uris) {
  if (uris.size() != 1)
    return Error{ErrorCode::kUntrusted, "the client certificate has " +
                                            std::to_string(uris.size()) +
                                            " URI names, one is expected: " + std::string(kForms)};
  const std::string_view uri = uris.front();
  Principal principal;
  if (uri.starts_with(kNodePrefix)) {
    const std::string_view rest = uri.substr(kNodePrefix.size());
    const auto slash = rest.find('/');
    principal.role = Role::kNode;
    principal.node.cluster = rest.substr(0, slash);
    if (slash != std::string_view::npos) principal.node.node = rest.substr(slash + 1);
    if (is_valid_name(principal.node.cluster) && is_valid_name(principal.node.node))
      return principal;
  }
  for (const Role role : kPeople) {
    const std::string prefix = user_uri("", role);
    if (!uri.starts_with(prefix)) continue;
    principal.role = role;
    principal.user = uri.substr(prefix.size());
    if (is_valid_name(principal.user)) return principal;
  }
  return Error{ErrorCode::kUntrusted, "the client certificate names \"" +
                                          escape_untrusted(uri, 100) + "\", expected is " +
                                          std::string(kForms)};
}

}  // namespace assay::collector
