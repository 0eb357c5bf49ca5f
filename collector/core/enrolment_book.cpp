// SPDX-License-Identifier: Apache-2.0
#include "collector/core/enrolment_book.h"

#include <algorithm>

#include "collector/core/principal.h"
#include "common/base/constant_time.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxReasonBytes = 500;
constexpr std::size_t kMaxPatternBytes = 253;

Error denied(std::string message) {
  return {ErrorCode::kPermissionDenied, std::move(message)};
}

bool is_pattern(std::string_view pattern) {
  std::string name(pattern);
  std::ranges::replace(name, '*', '-');
  return pattern.size() <= kMaxPatternBytes && is_valid_name(name);
}

/// For strangers, who learn neither why nor when.
Error kept_out(const NodeKey& node) {
  return denied("node " + node.text() +
                " is revoked: an admin lets it in again with \"assay node restore\"");
}

Error revoked_error(const NodeIdentity& identity) {
  return denied("node " + identity.node.text() + " is revoked since " +
                to_rfc3339(from_unix_ns(identity.revoked_ns), 0) +
                (identity.revoked_reason.empty() ? "" : " (" + identity.revoked_reason + ")") +
                ": an admin lets it in again with \"assay node restore\"");
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view name) {
  // Greedy, going back to the last star only: linear but for repeated parts.
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++after;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string_view state_of(const JoinToken& token, WallTime now) {
  if (token.revoked_ns != 0) return "revoked";
  if (token.used >= token.uses) return "used-up";
  return to_unix_ns(now) >= token.expires_ns ? "expired" : "usable";
}

EnrolmentBook::EnrolmentBook(Enrolments saved, Ledger& ledger, const NodeDirectory& nodes,
                             NodeCertifier& certifier, const Clock& clock)
    : ledger_(ledger), nodes_(nodes), certifier_(certifier), clock_(clock) {
  for (JoinToken& token : saved.tokens) {
    const std::string id = token.id;
    tokens_.emplace(id, std::move(token));
  }
  for (NodeIdentity& identity : saved.identities) {
    const NodeKey node = identity.node;
    if (identity.key) owners_.emplace(*identity.key, node);
    identities_.emplace(node, std::move(identity));
  }
}

AuditEntry EnrolmentBook::entry(const std::string& actor, const std::string& action,
                                const std::string& subject, const std::string& detail,
                                const std::string& peer) const {
  AuditEntry made;
  made.time_ns = to_unix_ns(clock_.wall_now());
  made.actor = actor;
  made.action = action;
  made.subject = subject;
  made.outcome = "done";
  made.detail = detail;
  made.peer = peer;
  return made;
}

NodeIdentity EnrolmentBook::identity_or_new(const NodeKey& node) const {
  if (auto found = identity(node)) return std::move(*found);
  NodeIdentity made;
  made.node = node;
  return made;
}

std::optional<NodeIdentity> EnrolmentBook::identity(const NodeKey& node) const {
  const MutexLock lock(mutex_);
  const auto found = identities_.find(node);
  if (found == identities_.end()) return std::nullopt;
  return found->second;
}

std::vector<NodeIdentity> EnrolmentBook::revoked() const {
  const MutexLock lock(mutex_);
  std::vector<NodeIdentity> all;
  for (const auto& [node, identity] : identities_)
    if (identity.revoked_ns != 0) all.push_back(identity);
  return all;
}

/// By a certificate or by what it sent.
bool EnrolmentBook::is_known(const NodeKey& node, const NodeIdentity& identity) const {
  if (identity.is_forgotten) return false;
  if (identity.key) return true;
  const auto nodes = nodes_.nodes();
  return std::ranges::any_of(nodes, [&](const NodeView& view) { return view.key == node; });
}

/// A machine made from a copy of another one's disk must not speak with its key.
Result<void> EnrolmentBook::check_owner(const NodeKey& node, const Sha256& key) const {
  const MutexLock lock(mutex_);
  const auto owner = owners_.find(key);
  if (owner == owners_.end() || owner->second == node) return ok();
  return Error{ErrorCode::kAlreadyExists,
               "this key is that of node " + owner->second.text() +
                   ": remove the folder \"identity\" in the agent's state folder, so that it makes "
                   "one of its own"};
}

Result<JoinToken> EnrolmentBook::use_token(const EnrolmentRequest& request) const {
  const MutexLock lock(mutex_);
  const auto found = tokens_.find(request.token->id);
  // Nobody learns from the answer which ids there are.
  if (found == tokens_.end() ||
      !equal_in_constant_time(found->second.secret.raw(), request.token->secret.raw()))
    return denied("the join token is not known here: make one with \"assay node token create\"");
  JoinToken token = found->second;
  const std::string_view state = state_of(token, clock_.wall_now());
  if (state != "usable")
    return denied("the join token " + token.id + " is " + std::string(state) +
                  ": make another one with \"assay node token create\"");
  if (token.cluster != request.node.cluster || !matches_pattern(token.pattern, request.node.node))
    return denied("the join token " + token.id + " is for nodes " + token.cluster + "/" +
                  token.pattern + ", not for " + request.node.text());
  ++token.used;
  token.last_used_ns = to_unix_ns(clock_.wall_now());
  token.last_node = request.node.text();
  return token;
}

Result<IssuedLeaf> EnrolmentBook::enrol(const EnrolmentRequest& request) {
  const std::lock_guard changing(changing_);
  NodeIdentity identity = identity_or_new(request.node);
  if (identity.revoked_ns != 0)
    return identity.key == request.key.digest ? revoked_error(identity) : kept_out(request.node);
  std::optional<JoinToken> token;
  // An answer that got lost is asked for again with the same key and costs no second use.
  if (identity.key == request.key.digest && !identity.is_forgotten) {
    identity.method = "known key";
  } else {
    if (!request.token && !request.account)
      return denied("node " + request.node.text() +
                    " is not known by this key: it needs a join token (\"assay node token "
                    "create\", enrol.token_file)");
    ASSAY_TRY(check_owner(request.node, request.key.digest));
    bool may_replace = false;
    if (request.token) {
      ASSAY_ASSIGN(token, use_token(request));
      may_replace = token->may_replace;
      identity.method = "token " + token->id;
    } else {
      // Another machine of that name, says the one who names the machines.
      may_replace = !identity.node_uid.empty() && !request.account->node_uid.empty() &&
                    identity.node_uid != request.account->node_uid;
      identity.method = "service account " + request.account->account;
      identity.node_uid = request.account->node_uid;
    }
    if (is_known(request.node, identity) && !may_replace)
      return Error{ErrorCode::kAlreadyExists,
                   "node " + request.node.text() +
                       " is known by another key: if this is that node, made anew, an admin says "
                       "\"assay node forget " +
                       request.node.text() + "\" or makes a token with --replace"};
  }
  return issue(
      std::move(identity), request.key, std::move(token),
      entry("node:" + request.node.text(), "node.enrol", request.node.text(), "", request.peer));
}

Result<IssuedLeaf> EnrolmentBook::renew(const NodeKey& node, const ShownCertificate& shown,
                                        const RequestedKey& key, const std::string& peer) {
  const std::lock_guard changing(changing_);
  ASSAY_TRY(admit(node, shown));
  if (key.digest != shown.key)
    return denied("a certificate is renewed for the key that it was made for");
  ASSAY_TRY(check_owner(node, key.digest));
  NodeIdentity identity = identity_or_new(node);
  identity.method = "renewal";
  return issue(std::move(identity), key, std::nullopt,
               entry("node:" + node.text(), "node.renew", node.text(), "", peer));
}

Result<IssuedLeaf> EnrolmentBook::issue(NodeIdentity identity, const RequestedKey& key,
                                        std::optional<JoinToken> token, const AuditEntry& entry) {
  ASSAY_ASSIGN(IssuedLeaf leaf, certifier_.issue(identity.node, key));
  const std::optional<Sha256> before = identity.key;
  identity.key = key.digest;
  identity.serial = leaf.serial;
  identity.not_before_ns = leaf.not_before_ns;
  identity.expires_ns = leaf.expires_ns;
  identity.is_forgotten = false;
  AuditEntry told = entry;
  told.detail = "by " + identity.method + ", key " + key.digest.hex().substr(0, 16) +
                ", certificate " + leaf.serial + " until " +
                to_rfc3339(from_unix_ns(leaf.expires_ns), 0);
  ASSAY_TRY(ledger_.change(identity.method.size() + told.detail.size(),
                           [identity, token, told](StoreWriter& store) -> Result<void> {
                             if (token) ASSAY_TRY(store.save_join_token(*token));
                             ASSAY_TRY(store.save_identity(identity));
                             return store.audit(told);
                           }));
  const MutexLock lock(mutex_);
  if (before && *before != key.digest) owners_.erase(*before);
  owners_.insert_or_assign(key.digest, identity.node);
  if (token) tokens_.insert_or_assign(token->id, *token);
  identities_.insert_or_assign(identity.node, std::move(identity));
  return leaf;
}

Result<std::string> EnrolmentBook::token_to_drop(WallTime now) const {
  const MutexLock lock(mutex_);
  if (tokens_.size() < kMaxJoinTokens) return std::string();
  const JoinToken* oldest = nullptr;
  for (const auto& [id, token] : tokens_)
    if (state_of(token, now) != "usable" &&
        (oldest == nullptr || token.created_ns < oldest->created_ns))
      oldest = &token;
  if (oldest != nullptr) return oldest->id;
  return Error{ErrorCode::kLimitExceeded,
               "there are " + std::to_string(tokens_.size()) +
                   " join tokens, and all of them are usable: revoke some (\"assay node token "
                   "revoke\")"};
}

Result<void> EnrolmentBook::save_token(const JoinToken& token, const AuditEntry& entry,
                                       const std::string& dropped) {
  ASSAY_TRY(ledger_.change(token.pattern.size() + entry.detail.size(),
                           [token, entry, dropped](StoreWriter& store) -> Result<void> {
                             if (!dropped.empty()) ASSAY_TRY(store.remove_join_token(dropped));
                             ASSAY_TRY(store.save_join_token(token));
                             return store.audit(entry);
                           }));
  const MutexLock lock(mutex_);
  if (!dropped.empty()) tokens_.erase(dropped);
  tokens_.insert_or_assign(token.id, token);
  return ok();
}

Result<JoinToken> EnrolmentBook::add_token(JoinToken token, const std::string& actor,
                                           const std::string& peer) {
  const std::lock_guard changing(changing_);
  const WallTime now = clock_.wall_now();
  if (!is_valid_name(token.cluster) || !is_pattern(token.pattern))
    return Error{ErrorCode::kInvalidArgument,
                 "nodes " + escape_untrusted(token.cluster + "/" + token.pattern, 300) +
                     ": a pattern holds letters, digits, \".\", \"_\", \"-\" and \"*\""};
  if (token.uses < 1 || token.uses > kMaxTokenUses)
    return Error{ErrorCode::kInvalidArgument, "uses: from 1 to " + std::to_string(kMaxTokenUses)};
  if (token.expires_ns <= to_unix_ns(now) || token.expires_ns > to_unix_ns(now + kMaxTokenLifetime))
    return Error{ErrorCode::kInvalidArgument, "expires: more than nothing, at most a year"};
  {
    const MutexLock lock(mutex_);
    if (tokens_.contains(token.id)) return Error{ErrorCode::kAlreadyExists, "that id is taken"};
  }
  ASSAY_ASSIGN(const std::string dropped, token_to_drop(now));
  token.created_ns = to_unix_ns(now);
  token.created_by = actor;
  ASSAY_TRY(save_token(token,
                       entry(actor, "node.token.create", token.id,
                             "nodes " + token.cluster + "/" + token.pattern + ", uses " +
                                 std::to_string(token.uses) + ", until " +
                                 to_rfc3339(from_unix_ns(token.expires_ns), 0) +
                                 (token.may_replace ? ", may replace keys" : "") +
                                 (dropped.empty() ? "" : "; dropped " + dropped),
                             peer),
                       dropped));
  return token;
}

std::vector<JoinToken> EnrolmentBook::tokens() const {
  std::vector<JoinToken> all;
  {
    const MutexLock lock(mutex_);
    for (const auto& [id, token] : tokens_)
      all.push_back(token);
  }
  std::ranges::sort(all, std::ranges::greater(), &JoinToken::created_ns);
  return all;
}

Result<JoinToken> EnrolmentBook::revoke_token(const std::string& id, const std::string& actor,
                                              const std::string& peer) {
  const std::lock_guard changing(changing_);
  JoinToken token;
  {
    const MutexLock lock(mutex_);
    const auto found = tokens_.find(id);
    if (found == tokens_.end())
      return Error{ErrorCode::kNotFound,
                   "no join token \"" + escape_untrusted(id, 80) + "\": see assay node token list"};
    token = found->second;
  }
  if (token.revoked_ns != 0) return token;
  token.revoked_ns = to_unix_ns(clock_.wall_now());
  ASSAY_TRY(save_token(token, entry(actor, "node.token.revoke", id, "", peer)));
  return token;
}

Result<NodeKey> EnrolmentBook::find_node(const std::string& name) const {
  std::vector<NodeKey> known;
  for (const NodeView& view : nodes_.nodes())
    known.push_back(view.key);
  {
    const MutexLock lock(mutex_);
    for (const auto& [node, identity] : identities_)
      known.push_back(node);
  }
  std::ranges::sort(known);
  known.erase(std::unique(known.begin(), known.end()), known.end());
  std::erase_if(known,
                [&](const NodeKey& node) { return node.node != name && node.text() != name; });
  if (known.size() == 1) return known.front();
  const std::string shown = escape_untrusted(name, 200);
  if (known.empty())
    return Error{ErrorCode::kNotFound, "no node \"" + shown + "\": see assay nodes"};
  return Error{ErrorCode::kInvalidArgument,
               "several clusters have a node \"" + shown + "\": say CLUSTER/NAME"};
}

Result<void> EnrolmentBook::change_identity(const NodeIdentity& identity, const AuditEntry& entry) {
  ASSAY_TRY(ledger_.change(identity.revoked_reason.size() + entry.detail.size(),
                           [identity, entry](StoreWriter& store) -> Result<void> {
                             ASSAY_TRY(store.save_identity(identity));
                             return store.audit(entry);
                           }));
  const MutexLock lock(mutex_);
  identities_.insert_or_assign(identity.node, identity);
  return ok();
}

Result<void> EnrolmentBook::revoke(const NodeKey& node, const std::string& reason,
                                   const std::string& actor, const std::string& peer) {
  const std::lock_guard changing(changing_);
  NodeIdentity identity = identity_or_new(node);
  if (identity.revoked_ns == 0) identity.revoked_ns = to_unix_ns(clock_.wall_now());
  identity.revoked_by = actor;
  identity.revoked_reason = to_plain_text(reason, kMaxReasonBytes);
  return change_identity(identity,
                         entry(actor, "node.revoke", node.text(), identity.revoked_reason, peer));
}

Result<void> EnrolmentBook::restore(const NodeKey& node, const std::string& actor,
                                    const std::string& peer) {
  const std::lock_guard changing(changing_);
  NodeIdentity identity = identity_or_new(node);
  if (identity.revoked_ns == 0)
    return Error{ErrorCode::kNotFound, "node " + node.text() + " is not revoked"};
  identity.revoked_ns = 0;
  identity.revoked_by.clear();
  identity.revoked_reason.clear();
  return change_identity(identity, entry(actor, "node.restore", node.text(), "", peer));
}

Result<void> EnrolmentBook::forget(const NodeKey& node, const std::string& actor,
                                   const std::string& peer) {
  const std::lock_guard changing(changing_);
  NodeIdentity identity = identity_or_new(node);
  identity.is_forgotten = true;
  return change_identity(identity, entry(actor, "node.forget", node.text(), "", peer));
}

Result<void> EnrolmentBook::admit(const NodeKey& node,
                                  const std::optional<ShownCertificate>& shown) const {
  const auto known = identity(node);
  if (!known) return ok();
  if (known->revoked_ns != 0) return revoked_error(*known);
  if (known->is_forgotten && shown && known->key && shown->key == *known->key)
    return denied("node " + node.text() +
                  " was forgotten: it joins anew, with a join token (\"assay node token create\", "
                  "enrol.token_file)");
  // A certificate that was made elsewhere since, with the authority's own key, is as good.
  if (shown && known->key && shown->key != *known->key &&
      shown->not_before_ns <= known->not_before_ns)
    return denied("this certificate of node " + node.text() +
                  " is not its newest: another key was enrolled since");
  return ok();
}

}  // namespace assay::collector
