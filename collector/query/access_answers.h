// SPDX-License-Identifier: Apache-2.0
// What calls about tokens and the audit log answer. Private to collector/query.
#pragma once

#include <atomic>
#include <chrono>

#include "assay/v1/access.pb.h"
#include "collector/core/ports.h"
#include "collector/core/token_book.h"
#include "common/base/mutex.h"

namespace assay::collector {

/// Thread-safe; every function but who_am_i() blocks on disk. Errors: kInvalidArgument, kNotFound,
/// kPermissionDenied, kAlreadyExists, kLimitExceeded, kUnavailable.
class AccessAnswers {
 public:
  AccessAnswers(Store& store, Ledger& ledger, TokenBook& tokens, const Clock& clock,
                std::chrono::nanoseconds max_lifetime)
      : store_(store),
        ledger_(ledger),
        tokens_(tokens),
        clock_(clock),
        max_lifetime_ns_(max_lifetime.count()) {}

  static Result<void> who_am_i(const Principal& who, const Actor& actor, v1::Identity& response);
  Result<void> create_token(const Principal& who, const Actor& actor,
                            const v1::CreateTokenRequest& request, v1::CreatedToken& response);
  Result<void> list_tokens(const v1::ListTokensRequest& request, v1::ListTokensResponse& response);
  Result<void> revoke_token(const Principal& who, const Actor& actor,
                            const v1::RevokeTokenRequest& request, v1::Token& response);
  Result<void> list_audit(const v1::ListAuditRequest& request, v1::ListAuditResponse& response);
  void set_max_lifetime(std::chrono::nanoseconds length) { max_lifetime_ns_ = length.count(); }

 private:
  /// What is refused is in the audit log.
  Result<void> may_grant(const Principal& who, const Actor& actor, const TokenView& token,
                         const char* action);
  Result<void> or_log(Result<void> checked, const Actor& actor, const TokenView& token,
                      const char* action);

  Store& store_;
  Ledger& ledger_;
  TokenBook& tokens_;
  const Clock& clock_;
  std::atomic<std::int64_t> max_lifetime_ns_;
  Mutex changing_;  // so that no two tokens get one name
};

}  // namespace assay::collector
