// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/peer.h"

#include <grpc/grpc_security_constants.h>

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxPeerBytes = 200;

}  // namespace

Result<Principal> principal_of(const grpc::CallbackServerContext& context) {
  if (!context.auth_context()->IsPeerAuthenticated())
    return Error{ErrorCode::kUntrusted, "an agent needs the certificate of its node"};
  std::vector<std::string> uris;
  for (const auto& uri : context.auth_context()->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME))
    uris.emplace_back(uri.data(), uri.size());
  return principal_from_uris(uris);
}

std::optional<ShownCertificate> shown_certificate(const grpc::CallbackServerContext& context,
                                                  const NodeCertifier& certifier) {
  const auto found = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (found.empty()) return std::nullopt;
  auto shown = certifier.read_certificate({found.front().data(), found.front().size()});
  if (!shown) return std::nullopt;
  return *shown;
}

std::string peer_of(const grpc::CallbackServerContext& context) {
  return escape_untrusted(context.peer(), kMaxPeerBytes);
}

}  // namespace assay::collector
