// SPDX-License-Identifier: Apache-2.0
#include "collector/core/doorkeeper.h"

#include <algorithm>

namespace assay::collector {
namespace {

constexpr const char* kNobody =
    "this call says nothing of who makes it: give a token (assay login) or a client certificate "
    "(tls.cert and tls.key)";

std::string missing_role(const Principal& who, const Errand& errand) {
  if (who.role == Role::kNode) return "it is for people, not for nodes";
  const std::string role(name_of(errand.least));
  if (who.token) return "it needs a token with the role " + role;
  return "it needs the role " + role + " (assay-collector issue --user NAME --role " + role + ")";
}

/// Why the token's scopes do not cover the call; "" when they do.
std::string missing_scope(const Principal& who, const std::string& method) {
  if (!who.token || who.token->scopes.empty() || method == "Access.WhoAmI") return "";
  const auto scope = scope_of(method);
  if (scope && std::ranges::find(who.token->scopes, *scope) != who.token->scopes.end()) return "";
  return "its token is narrowed to " + join(who.token->scopes) +
         (scope ? ", and it needs " + std::string(to_string(*scope))
                : ", and it needs one that is not narrowed");
}

}  // namespace

Result<Principal> Doorkeeper::identify(const Credentials& shown) {
  if (shown.authorizations.empty()) {
    if (!shown.has_certificate) return Error{ErrorCode::kUntrusted, kNobody};
    return principal_from_uris(shown.uris);
  }
  if (shown.authorizations.size() > 1)
    return Error{ErrorCode::kUntrusted, "this call has several authorization headers"};
  ASSAY_ASSIGN(const ShownToken token, parse_authorization(shown.authorizations.front()));
  return tokens_.find(token, clock_.wall_now());
}

Admission Doorkeeper::refuse(Admission admission, const Credentials& shown, const Errand& errand,
                             const std::string& actor) {
  ledger_.audit({to_unix_ns(clock_.wall_now()), actor,
                 errand.action.empty() ? errand.method : errand.action, errand.subject, "refused",
                 admission.reason, shown.peer});
  return admission;
}

Admission Doorkeeper::admit(const Credentials& shown, const Errand& errand) {
  using enum Admission::Outcome;
  const BootTime now = clock_.boot_now();
  auto who = identify(shown);
  if (!who) {
    const auto wait = failures_.take(host_of_peer(shown.peer), now);
    if (wait.count() == 0)
      return refuse({kUnauthenticated, {}, who.error().message, {}}, shown, errand, "");
    return refuse({kLimited, {}, "too many calls from this address show nothing valid", wait},
                  shown, errand, "");
  }
  const std::string name = who->text();
  if (const auto wait = calls_.take(name, now); wait.count() != 0)
    return refuse({kLimited, {}, name + " makes too many calls (limits.calls_per_second)", wait},
                  shown, errand, name);
  std::string missing = who->has(errand.least) ? "" : missing_role(*who, errand);
  if (missing.empty()) missing = missing_scope(*who, errand.method);
  if (!missing.empty())
    return refuse({kDenied, {}, name + " may not use " + errand.method + ": " + missing, {}}, shown,
                  errand, name);
  proofs_.proven(shown.peer);
  return {kAdmitted, std::move(*who), "", {}};
}

}  // namespace assay::collector
