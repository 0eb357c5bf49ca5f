// SPDX-License-Identifier: Apache-2.0
#include "collector/query/caller.h"

#include <grpc/grpc_security_constants.h>

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

Result<Principal> principal_of(const grpc::AuthContext& connection) {
  if (!connection.IsPeerAuthenticated())
    return Error{ErrorCode::kUntrusted,
                 "this call says nothing of who makes it: configure a client "
                 "certificate (tls.cert and tls.key)"};
  std::vector<std::string> uris;
  for (const auto& uri : connection.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME))
    uris.emplace_back(uri.data(), uri.size());
  return principal_from_uris(uris);
}

}  // namespace

Caller caller_of(const grpc::CallbackServerContext& context) {
  return {principal_of(*context.auth_context()), escape_untrusted(context.peer(), 200)};
}

std::optional<grpc::Status> refusal_of(const Caller& caller, const std::string& method,
                                       Role least) {
  if (!caller.who)
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, caller.who.error().message);
  if (caller.who->has(least)) return std::nullopt;
  const std::string role(name_of(least));
  const std::string why = caller.who->role == Role::kNode
                              ? "it is for people, not for nodes"
                              : "it needs the role " + role +
                                    " (assay-collector issue --user NAME --role " + role + ")";
  return grpc::Status(grpc::StatusCode::PERMISSION_DENIED,
                      caller.who->text() + " may not use " + method + ": " + why);
}

}  // namespace assay::collector
