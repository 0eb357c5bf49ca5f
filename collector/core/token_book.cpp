// SPDX-License-Identifier: Apache-2.0
#include "collector/core/token_book.h"

#include <algorithm>

#include "common/base/constant_time.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::int64_t kUsedStepNs = 60'000'000'000;

bool is_in_force(const TokenView& token, std::int64_t now_ns) {
  return token.revoked_ns == 0 && now_ns < token.expires_ns;
}

}  // namespace

TokenBook::TokenBook(std::vector<TokenRow> rows) {
  const MutexLock lock(mutex_);
  for (TokenRow& row : rows) {
    const std::string id = row.view.id;
    entries_.insert_or_assign(id, Entry{std::move(row)});
  }
}

Result<Principal> TokenBook::find(const ShownToken& shown, WallTime now) {
  const std::int64_t now_ns = to_unix_ns(now);
  const MutexLock lock(mutex_);
  const auto found = entries_.find(shown.id);
  if (found == entries_.end() ||
      !equal_in_constant_time(found->second.row.hash.raw(), shown.hash.raw()))
    return Error{ErrorCode::kUntrusted,
                 "this collector does not know the token (assay login takes another one)"};
  TokenView& token = found->second.row.view;
  if (token.revoked_ns != 0)
    return Error{ErrorCode::kUntrusted, "token " + token.id + " was revoked at " +
                                            to_rfc3339(from_unix_ns(token.revoked_ns), 0)};
  if (now_ns >= token.expires_ns)
    return Error{ErrorCode::kUntrusted, "token " + token.id + " expired at " +
                                            to_rfc3339(from_unix_ns(token.expires_ns), 0) +
                                            " (assay token create makes another one)"};
  if (now_ns - token.last_used_ns >= kUsedStepNs) {
    token.last_used_ns = now_ns;
    found->second.is_used = true;
  }
  Principal who;
  who.role = token.role;
  who.user = token.name;
  who.token = TokenGrant{token.id, token.scopes, token.expires_ns};
  return who;
}

std::size_t TokenBook::forget_old(WallTime now) {
  const std::int64_t before_ns = to_unix_ns(now - kTokenKept);
  const MutexLock lock(mutex_);
  return std::erase_if(entries_, [before_ns](const auto& entry) {
    return entry.second.row.view.expires_ns < before_ns;
  });
}

Result<void> TokenBook::check_new(const std::string& name, WallTime now) const {
  const MutexLock lock(mutex_);
  if (entries_.size() >= kMaxTokens)
    return Error{ErrorCode::kLimitExceeded,
                 "there are " + std::to_string(kMaxTokens) +
                     " tokens already; those that have expired go after 90 days"};
  for (const auto& [id, entry] : entries_)
    if (entry.row.view.name == name && is_in_force(entry.row.view, to_unix_ns(now)))
      return Error{ErrorCode::kAlreadyExists, "there is a token \"" + name + "\" (" + id +
                                                  "): revoke it, or choose another name"};
  return ok();
}

void TokenBook::add(TokenRow row) {
  const MutexLock lock(mutex_);
  const std::string id = row.view.id;
  entries_.insert_or_assign(id, Entry{std::move(row)});
}

Result<TokenView> TokenBook::get(const std::string& id_or_name) const {
  if (looks_like_token(id_or_name))
    return Error{ErrorCode::kInvalidArgument,
                 "give the id or the name of the token, never the token itself (its id are the 16 "
                 "digits behind assay_)"};
  const MutexLock lock(mutex_);
  if (const auto found = entries_.find(id_or_name); found != entries_.end())
    return found->second.row.view;
  const TokenView* named = nullptr;
  for (const auto& [id, entry] : entries_) {
    const TokenView& token = entry.row.view;
    const bool is_better = named == nullptr || (named->revoked_ns != 0 && token.revoked_ns == 0) ||
                           ((named->revoked_ns == 0) == (token.revoked_ns == 0) &&
                            token.created_ns > named->created_ns);
    if (token.name == id_or_name && is_better) named = &token;
  }
  if (named != nullptr) return *named;
  return Error{ErrorCode::kNotFound, "there is no token \"" + escape_untrusted(id_or_name, 80) +
                                         "\" (assay token list shows those there are)"};
}

void TokenBook::revoke(const std::string& id, std::int64_t now_ns, const std::string& by) {
  std::vector<Watch> called;
  {
    const MutexLock lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.row.view.revoked_ns != 0) return;
    found->second.row.view.revoked_ns = now_ns;
    found->second.row.view.revoked_by = by;
    for (const auto& watch : found->second.watches)
      if (auto live = watch.lock()) called.push_back(std::move(live));
    found->second.watches.clear();
  }
  for (const Watch& watch : called)
    (*watch)();
}

std::vector<TokenView> TokenBook::list() const {
  std::vector<TokenView> tokens;
  {
    const MutexLock lock(mutex_);
    for (const auto& [id, entry] : entries_)
      tokens.push_back(entry.row.view);
  }
  std::ranges::sort(tokens, [](const TokenView& a, const TokenView& b) {
    return std::tie(b.created_ns, b.id) < std::tie(a.created_ns, a.id);
  });
  return tokens;
}

TokenBook::Watch TokenBook::watch(const std::string& id, std::function<void()> on_revoked) {
  auto watch = std::make_shared<std::function<void()>>(std::move(on_revoked));
  {
    const MutexLock lock(mutex_);
    const auto found = entries_.find(id);
    if (found != entries_.end() && found->second.row.view.revoked_ns == 0) {
      std::erase_if(found->second.watches, [](const auto& old) { return old.expired(); });
      found->second.watches.push_back(watch);
      return watch;
    }
  }
  (*watch)();
  return watch;
}

std::vector<std::pair<std::string, std::int64_t>> TokenBook::take_used() {
  std::vector<std::pair<std::string, std::int64_t>> used;
  const MutexLock lock(mutex_);
  for (auto& [id, entry] : entries_)
    if (std::exchange(entry.is_used, false)) used.emplace_back(id, entry.row.view.last_used_ns);
  return used;
}

}  // namespace assay::collector
