// SPDX-License-Identifier: Apache-2.0
// Join tokens as text: "assay-join-v1.ID.SECRET.AUTHORITY[.AUTHORITY]", all in hex digits: 8 random
// bytes, 32 random bytes, and the SHA-256 of the certificates of the collector's authorities, by
// which an agent that has nothing else knows the right collector.
#pragma once

#include <string>
#include <string_view>

#include "collector/core/enrolment_book.h"

namespace assay::collector {

inline constexpr std::size_t kMaxJoinTokenBytes = 1024;

struct NewJoinToken {
  std::string id;
  Sha256 secret;     ///< digest
  std::string text;  ///< holds the secret itself
};

/// Errors: kInternal (no randomness).
Result<NewJoinToken> make_join_token(const TrustedAuthorities& authorities);
/// Errors: kPermissionDenied (not such a text).
Result<ShownJoinToken> read_join_token(std::string_view text);

}  // namespace assay::collector
