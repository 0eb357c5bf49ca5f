// SPDX-License-Identifier: Apache-2.0
// Who speaks: the one URI in the client certificate's subject alternative names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/events.h"
#include "collector/core/scope.h"
#include "common/base/result.h"

namespace assay::collector {

/// What a principal may do. People's roles are ordered: each may do what the ones before it may.
enum class Role {
  kNode,      ///< an agent: speaks for its own node, and reads the catalog
  kViewer,    ///< reads
  kApprover,  ///< submits signed changes of the catalog and reports of scanners, triages findings
  kAdmin,     ///< commands nodes, makes tokens, reads the audit log
};

std::string_view name_of(Role role);  ///< node, viewer, approver, admin
/// A person's role by its name. Errors: kInvalidArgument, naming those there are.
Result<Role> role_named(std::string_view name);

/// The token that a person showed.
struct TokenGrant {
  std::string id;
  std::vector<Scope> scopes;  ///< none: all that the role may
  std::int64_t expires_ns = 0;
};

struct Principal {
  Role role = Role::kViewer;
  NodeKey node;                          ///< Role::kNode
  std::string user;                      ///< all other roles; of a token its name
  std::optional<TokenGrant> token = {};  ///< none: it is by its certificate

  /// Whether this is a person with `least` or a role above it.
  bool has(Role least) const { return role != Role::kNode && role >= least; }
  /// "node:CLUSTER/NAME", "user:NAME" or "token:NAME/ID", as the audit log writes it.
  std::string text() const {
    if (token) return "token:" + user + "/" + token->id;
    return role == Role::kNode ? "node:" + node.text() : "user:" + user;
  }
};

/// Who did something, and from where, as the audit log writes them.
struct Actor {
  std::string name;  ///< Principal::text()
  std::string
      peer;  ///< address of the connection, "ipv4:192.0.2.7:50000"; "" = the collector itself
};

/// Letters, digits and ".", "_", "-"; 1 to 253 bytes. The rule for clusters, nodes and users.
bool is_valid_name(std::string_view name);

std::string node_uri(const NodeKey& node);  ///< assay:node:CLUSTER/NAME
/// assay:viewer:NAME, assay:approver:NAME or assay:admin:NAME.
std::string user_uri(const std::string& user, Role role);

/// Errors: kUntrusted (none, several, or another form), saying what is expected.
Result<Principal> principal_from_uris(const std::vector<std::string>& uris);

}  // namespace assay::collector
