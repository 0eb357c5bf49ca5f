// SPDX-License-Identifier: Apache-2.0
// Bearer tokens of people and their programs: "assay_" ID "_" SECRET, an id of 16 and a secret of
// 64 hex digits. Only a hash of a token is ever kept.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/principal.h"
#include "collector/core/scope.h"
#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::collector {

/// What is known of a token but its hash: for lists.
struct TokenView {
  std::string id;
  std::string name;
  Role role = Role::kViewer;
  std::vector<Scope> scopes = {};  ///< none: all that the role may
  std::int64_t created_ns = 0;
  std::string created_by;
  std::int64_t expires_ns = 0;
  std::int64_t last_used_ns = 0;  ///< to about a minute; 0 = never
  std::int64_t revoked_ns = 0;    ///< 0 = not
  std::string revoked_by = {};
};

struct TokenRow {
  TokenView view;
  /// SHA-256 of the whole token. Nothing slower is needed: what is hashed holds 256 random bits, so
  /// that nobody finds it by trying.
  Sha256 hash;
};

struct NewToken {
  std::string text;  ///< shown once
  std::string id;
  Sha256 hash;
};

/// From the kernel's random numbers. Source: getrandom(2).
NewToken make_token();

/// What a call shows.
struct ShownToken {
  std::string id;
  Sha256 hash;
};

/// Whether `text` begins as a token does: then it is no name, and nothing repeats it.
bool looks_like_token(std::string_view text);

inline constexpr std::size_t kTokenBytes = 6 + 16 + 1 + 64;

/// The value of an `authorization` header: "Bearer TOKEN", the word in any case of letters.
/// Errors: kUntrusted; no part of the header is in the message. Source: RFC 6750 section 2.1.
Result<ShownToken> parse_authorization(std::string_view header);

}  // namespace assay::collector
