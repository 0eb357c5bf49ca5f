// SPDX-License-Identifier: Apache-2.0
// All tokens in memory, so that a call costs no look at the store and a revocation counts at once.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/token.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::collector {

inline constexpr std::size_t kMaxTokens = 10'000;
inline constexpr std::chrono::hours kTokenKept{90 * 24};  ///< after its end

/// Thread-safe.
class TokenBook {
 public:
  explicit TokenBook(std::vector<TokenRow> rows);

  /// Who shows this token, and notes that it was used. Errors: kUntrusted (not known, revoked,
  /// expired). Whether an id is known does not show: an unknown one and a wrong secret are one
  /// error.
  Result<Principal> find(const ShownToken& shown, WallTime now);

  /// Drops what ended more than kTokenKept ago; how many it were. The store's rows are dropped by
  /// StoreWriter::forget_tokens().
  std::size_t forget_old(WallTime now);
  /// Errors: kAlreadyExists (a token of this name that is neither revoked nor expired),
  /// kLimitExceeded.
  Result<void> check_new(const std::string& name, WallTime now) const;
  void add(TokenRow row);
  /// By id, or by name of one that is in force. Errors: kNotFound.
  Result<TokenView> get(const std::string& id_or_name) const;
  /// Takes it out of force, and calls those who watch it, on this thread.
  void revoke(const std::string& id, std::int64_t now_ns, const std::string& by);
  std::vector<TokenView> list() const;  ///< newest first

  /// Calls `on_revoked` once when the token is revoked, or at once when it is already, as long as
  /// what is returned lives. It must not call back into the book.
  using Watch = std::shared_ptr<std::function<void()>>;
  Watch watch(const std::string& id, std::function<void()> on_revoked);

  /// (id, time) of tokens used since the last call, each at most once a minute.
  std::vector<std::pair<std::string, std::int64_t>> take_used();

 private:
  struct Entry {
    TokenRow row;
    bool is_used = false;  ///< since take_used()
    std::vector<std::weak_ptr<std::function<void()>>> watches = {};
  };

  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::collector
