// SPDX-License-Identifier: Apache-2.0
// Who may do what, as the collector tells it: people's tokens, the audit log, how nodes join.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"

namespace assay::cli {

struct Identity {
  std::string name;
  std::string role;
  std::string means;  ///< token, certificate
  std::string token_id;
  std::vector<std::string> scopes;
  std::optional<WallTime> expires_at;
  std::string address;  ///< of us, as the collector sees it
};

struct Token {
  std::string token_id;
  std::string name;
  std::string role;
  std::vector<std::string> scopes;
  std::string state;  ///< active, expired, revoked
  std::optional<WallTime> created_at;
  std::string created_by;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> last_used_at;
  std::optional<WallTime> revoked_at;
  std::string revoked_by;
};

struct TokenWish {
  std::string name;
  std::string role;
  std::vector<std::string> scopes;
  std::optional<WallTime> expires_at;
};

struct CreatedToken {
  Token token;
  std::string secret;  ///< the whole token
};

struct AuditEntry {
  std::optional<WallTime> time;
  std::string actor;
  std::string action;
  std::string subject;
  std::string outcome;
  std::string detail;
  std::string peer;
};

struct AuditFilter {
  std::string actor;
  std::string action;
  std::string outcome;
  std::optional<WallTime> since;
  std::size_t limit = 0;  ///< 0: all
};

struct JoinToken {
  std::string token_id;
  std::string cluster;
  std::string pattern;
  std::string state;  ///< usable, used-up, expired, revoked
  std::uint32_t uses = 0;
  std::uint32_t used = 0;
  bool may_replace = false;
  std::optional<WallTime> created_at;
  std::string created_by;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> last_used_at;
  std::string last_node;
  std::optional<WallTime> revoked_at;
};
struct JoinTokenWish {
  std::string pattern;  ///< [CLUSTER/]PATTERN, "" for any node
  std::chrono::seconds lifetime{};
  std::uint32_t uses = 1;
  bool may_replace = false;
};
struct CreatedJoinToken {
  JoinToken token;
  std::string text;
};
struct NodeAccessChange {
  std::string cluster;
  std::string node;
  bool had_stream = false;
};
/// One that issues certificates, or did.
struct Authority {
  Sha256 digest;
  bool is_issuing = false;
  std::string pem;
};

}  // namespace assay::cli
