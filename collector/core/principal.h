// SPDX-License-Identifier: Apache-2.0
// Who speaks: the one URI in the client certificate's subject alternative names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "collector/core/events.h"
#include "common/base/result.h"

namespace assay::collector {

enum class Role { kNode, kUser };

struct Principal {
  Role role = Role::kUser;
  NodeKey node;           ///< Role::kNode
  std::string user;       ///< Role::kUser
  bool is_admin = false;  ///< Role::kUser: may command nodes

  /// "node:CLUSTER/NAME" or "user:NAME", as the audit log writes it.
  std::string text() const { return role == Role::kNode ? "node:" + node.text() : "user:" + user; }
};

/// Letters, digits and ".", "_", "-"; 1 to 253 bytes. The rule for clusters, nodes and users.
bool is_valid_name(std::string_view name);

std::string node_uri(const NodeKey& node);  ///< assay:node:CLUSTER/NAME
/// assay:user:NAME, or assay:admin:NAME of one who may command nodes.
std::string user_uri(const std::string& user, bool is_admin = false);

/// Errors: kUntrusted (none, several, or another form), saying what is expected.
Result<Principal> principal_from_uris(const std::vector<std::string>& uris);

}  // namespace assay::collector
