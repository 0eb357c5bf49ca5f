// SPDX-License-Identifier: Apache-2.0
#include "collector/query/access_answers.h"

#include <algorithm>
#include <cstdlib>

#include "collector/query/page_token.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::chrono::hours kUsualLifetime{90 * 24};
constexpr std::size_t kMaxFilterBytes = 512;

std::string_view state_of(const TokenView& token, std::int64_t now_ns) {
  if (token.revoked_ns != 0) return "revoked";
  return now_ns < token.expires_ns ? "active" : "expired";
}

void to_wire(const TokenView& token, std::int64_t now_ns, v1::Token& out) {
  out.set_token_id(token.id);
  out.set_name(token.name);
  out.set_role(std::string(name_of(token.role)));
  for (const Scope scope : token.scopes)
    out.add_scopes(std::string(to_string(scope)));
  out.set_created_ns(token.created_ns);
  out.set_created_by(token.created_by);
  out.set_expires_ns(token.expires_ns);
  out.set_last_used_ns(token.last_used_ns);
  out.set_revoked_ns(token.revoked_ns);
  out.set_revoked_by(token.revoked_by);
  out.set_state(std::string(state_of(token, now_ns)));
}

/// What a caller may hand on: its own role, and of its scopes no more than it has.
Result<void> check_grant(const Principal& who, Role role, const std::vector<Scope>& scopes) {
  if (!who.has(role))
    return Error{
        ErrorCode::kPermissionDenied,
        "nobody makes a token above the own role, which is " + std::string(name_of(who.role))};
  if (!who.token || who.token->scopes.empty()) return ok();
  const bool is_within = !scopes.empty() && std::ranges::all_of(scopes, [&](Scope scope) {
    return std::ranges::find(who.token->scopes, scope) != who.token->scopes.end();
  });
  if (is_within) return ok();
  return Error{ErrorCode::kPermissionDenied,
               "a narrowed token makes and revokes only tokens with scopes of its own: " +
                   join(who.token->scopes)};
}

Result<void> check_lifetime(std::int64_t wanted_ns, std::int64_t now_ns, std::int64_t longest) {
  if (wanted_ns == 0) return ok();
  if (wanted_ns <= now_ns)
    return Error{ErrorCode::kInvalidArgument, "the token would have expired already"};
  if (wanted_ns - now_ns <= longest) return ok();
  return Error{ErrorCode::kInvalidArgument, "a token lives until " +
                                                to_rfc3339(from_unix_ns(now_ns + longest), 0) +
                                                " at most (tokens.max_lifetime of the collector)"};
}

/// A token that is about to end must not make its own successor.
Result<void> check_outlives(const Principal& who, std::int64_t wanted_ns) {
  if (!who.token || wanted_ns <= who.token->expires_ns) return ok();
  return Error{ErrorCode::kPermissionDenied,
               "no token outlives the one that makes it, which ends at " +
                   to_rfc3339(from_unix_ns(who.token->expires_ns), 0) +
                   ": ask for an earlier end, or make it with a certificate"};
}

/// When one ends that was asked for without an end.
std::int64_t usual_expiry(const Principal& who, std::int64_t now_ns, std::int64_t longest) {
  const std::int64_t usual =
      now_ns + std::min(std::chrono::nanoseconds(kUsualLifetime).count(), longest);
  return who.token ? std::min(usual, who.token->expires_ns) : usual;
}

std::string grant_text(const TokenView& token) {
  return "role " + std::string(name_of(token.role)) +
         (token.scopes.empty() ? "" : ", narrowed to " + join(token.scopes)) + ", until " +
         to_rfc3339(from_unix_ns(token.expires_ns), 0);
}

/// In the order of TokenBook::list().
Cursor cursor_of(std::int64_t created_ns, const std::string& id) {
  return {created_ns, static_cast<std::int64_t>(std::strtoull(id.c_str(), nullptr, 16) >> 1)};
}

std::string subject_of(const TokenView& token) {
  return "token:" + token.name + "/" + token.id;
}

}  // namespace

Result<void> AccessAnswers::who_am_i(const Principal& who, const Actor& actor,
                                     v1::Identity& response) {
  response.set_name(who.user);
  response.set_role(std::string(name_of(who.role)));
  response.set_means(who.token ? "token" : "certificate");
  response.set_address(actor.peer);
  if (!who.token) return ok();
  response.set_token_id(who.token->id);
  for (const Scope scope : who.token->scopes)
    response.add_scopes(std::string(to_string(scope)));
  response.set_expires_ns(who.token->expires_ns);
  return ok();
}

Result<void> AccessAnswers::create_token(const Principal& who, const Actor& actor,
                                         const v1::CreateTokenRequest& request,
                                         v1::CreatedToken& response) {
  const WallTime now = clock_.wall_now();
  const std::int64_t now_ns = to_unix_ns(now);
  TokenRow row;
  TokenView& token = row.view;
  token.name = request.name();
  if (!is_valid_name(token.name) || looks_like_token(token.name))
    return Error{
        ErrorCode::kInvalidArgument,
        "a token's name has 1 to 253 letters, digits, \".\", \"_\" and \"-\", and does not begin "
        "with \"assay_\""};
  ASSAY_ASSIGN(token.role, role_named(request.role()));
  for (const std::string& text : request.scopes()) {
    ASSAY_ASSIGN(const Scope scope, parse_scope(text));
    if (std::ranges::find(token.scopes, scope) == token.scopes.end()) token.scopes.push_back(scope);
  }
  ASSAY_TRY(may_grant(who, actor, token, "token.create"));
  ASSAY_TRY(check_lifetime(request.expires_ns(), now_ns, max_lifetime_ns_));
  ASSAY_TRY(or_log(check_outlives(who, request.expires_ns()), actor, token, "token.create"));
  token.expires_ns = request.expires_ns() != 0 ? request.expires_ns()
                                               : usual_expiry(who, now_ns, max_lifetime_ns_);
  token.created_ns = now_ns;
  token.created_by = actor.name;
  const NewToken made = make_token();
  token.id = made.id;
  row.hash = made.hash;
  const MutexLock lock(changing_);
  tokens_.forget_old(now);
  ASSAY_TRY(tokens_.check_new(token.name, now));
  const AuditEntry entry{now_ns, actor.name,        "token.create", subject_of(token),
                         "done", grant_text(token), actor.peer};
  ASSAY_TRY(
      ledger_.change(request.ByteSizeLong(), [row, entry](StoreWriter& store) -> Result<void> {
        ASSAY_TRY(store.forget_tokens(row.view.created_ns -
                                      std::chrono::nanoseconds(kTokenKept).count()));
        ASSAY_TRY(store.add_token(row));
        return store.audit(entry);
      }));
  tokens_.add(row);
  to_wire(token, now_ns, *response.mutable_token());
  response.set_secret(made.text);
  return ok();
}

Result<void> AccessAnswers::may_grant(const Principal& who, const Actor& actor,
                                      const TokenView& token, const char* action) {
  return or_log(check_grant(who, token.role, token.scopes), actor, token, action);
}

Result<void> AccessAnswers::or_log(Result<void> checked, const Actor& actor, const TokenView& token,
                                   const char* action) {
  if (!checked)
    ledger_.audit({to_unix_ns(clock_.wall_now()), actor.name, action, "token:" + token.name,
                   "refused", checked.error().message, actor.peer});
  return checked;
}

Result<void> AccessAnswers::list_tokens(const v1::ListTokensRequest& request,
                                        v1::ListTokensResponse& response) {
  const std::int64_t now_ns = to_unix_ns(clock_.wall_now());
  std::string arguments = "tokens";
  append_field(arguments, request.include_dead() ? "all" : "");
  ASSAY_ASSIGN(const int limit, page_size_of(request.page_size()));
  ASSAY_ASSIGN(const auto after, read_page_token(request.page_token(), arguments));
  for (const TokenView& token : tokens_.list()) {
    if (!request.include_dead() && state_of(token, now_ns) != "active") continue;
    const Cursor cursor = cursor_of(token.created_ns, token.id);
    if (after && std::pair(cursor.time_ns, cursor.key) >= std::pair(after->time_ns, after->key))
      continue;
    if (response.tokens_size() == limit) {
      const v1::Token& last = response.tokens(limit - 1);
      response.set_next_page_token(
          make_page_token(cursor_of(last.created_ns(), last.token_id()), arguments));
      break;
    }
    to_wire(token, now_ns, *response.add_tokens());
  }
  return ok();
}

Result<void> AccessAnswers::revoke_token(const Principal& who, const Actor& actor,
                                         const v1::RevokeTokenRequest& request,
                                         v1::Token& response) {
  const std::int64_t now_ns = to_unix_ns(clock_.wall_now());
  const MutexLock lock(changing_);
  ASSAY_ASSIGN(TokenView token, tokens_.get(request.token()));
  if (token.revoked_ns == 0) {
    ASSAY_TRY(may_grant(who, actor, token, "token.revoke"));
    const AuditEntry entry{now_ns, actor.name, "token.revoke", subject_of(token),
                           "done", "",         actor.peer};
    ASSAY_TRY(ledger_.change(request.ByteSizeLong(),
                             [id = token.id, now_ns, entry](StoreWriter& store) -> Result<void> {
                               ASSAY_TRY(store.revoke_token(id, now_ns, entry.actor));
                               return store.audit(entry);
                             }));
    tokens_.revoke(token.id, now_ns, actor.name);
    ASSAY_ASSIGN(token, tokens_.get(token.id));
  }
  to_wire(token, now_ns, response);
  return ok();
}

Result<void> AccessAnswers::list_audit(const v1::ListAuditRequest& request,
                                       v1::ListAuditResponse& response) {
  const AuditFilter filter{request.actor(), request.action(), request.outcome(),
                           request.since_ns()};
  std::string arguments = "audit";
  for (const std::string& text :
       {filter.actor, filter.action, filter.outcome, std::to_string(filter.since_ns)}) {
    if (text.size() > kMaxFilterBytes)
      return Error{ErrorCode::kInvalidArgument,
                   "a filter is longer than " + std::to_string(kMaxFilterBytes) + " bytes"};
    append_field(arguments, text);
  }
  ASSAY_ASSIGN(const int limit, page_size_of(request.page_size()));
  ASSAY_ASSIGN(const auto after, read_page_token(request.page_token(), arguments));
  ASSAY_ASSIGN(const auto page, store_.list_audit(filter, after, limit));
  for (const AuditEntry& entry : page.rows) {
    v1::AuditEntry& one = *response.add_entries();
    one.set_time_ns(entry.time_ns);
    one.set_actor(entry.actor);
    one.set_action(entry.action);
    one.set_subject(entry.subject);
    one.set_outcome(entry.outcome);
    one.set_detail(entry.detail);
    one.set_peer(entry.peer);
  }
  if (page.next) response.set_next_page_token(make_page_token(*page.next, arguments));
  return ok();
}

}  // namespace assay::collector
