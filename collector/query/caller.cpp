// SPDX-License-Identifier: Apache-2.0
#include "collector/query/caller.h"

#include <grpc/grpc_security_constants.h>

#include "common/base/encoding.h"
#include "common/retry/retry_delay.h"

namespace assay::collector {
namespace {

constexpr const char* kAuthorization = "authorization";  // gRPC gives names in lower case
constexpr std::size_t kMaxAuthorizations = 2;            // one too many is enough to refuse

}  // namespace

Credentials credentials_of(const grpc::CallbackServerContext& context) {
  Credentials shown;
  const auto connection = context.auth_context();
  shown.has_certificate = connection->IsPeerAuthenticated();
  for (const auto& uri : connection->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME))
    shown.uris.emplace_back(uri.data(), uri.size());
  const auto [begin, end] = context.client_metadata().equal_range(kAuthorization);
  for (auto one = begin; one != end && shown.authorizations.size() < kMaxAuthorizations; ++one)
    shown.authorizations.emplace_back(one->second.data(), one->second.size());
  shown.peer = escape_untrusted(context.peer(), 200);
  return shown;
}

std::optional<grpc::Status> refusal_of(const Admission& admission) {
  using grpc::StatusCode;
  switch (admission.outcome) {
    case Admission::Outcome::kAdmitted:
      return std::nullopt;
    case Admission::Outcome::kUnauthenticated:
      return grpc::Status(StatusCode::UNAUTHENTICATED, admission.reason);
    case Admission::Outcome::kDenied:
      return grpc::Status(StatusCode::PERMISSION_DENIED, admission.reason);
    case Admission::Outcome::kLimited:
      break;
  }
  return grpc::Status(StatusCode::RESOURCE_EXHAUSTED, admission.reason,
                      retry_details(static_cast<int>(StatusCode::RESOURCE_EXHAUSTED),
                                    admission.reason, admission.retry_after));
}

Actor actor_of(const Admission& admission, const Credentials& shown) {
  return {admission.who.text(), shown.peer};
}

}  // namespace assay::collector
