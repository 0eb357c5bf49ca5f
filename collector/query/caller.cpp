// SPDX-License-Identifier: Apache-2.0
#include "collector/query/caller.h"

#include <grpc/grpc_security_constants.h>

namespace assay::collector {

Result<Principal> principal_of(const grpc::CallbackServerContext& context) {
  std::vector<std::string> uris;
  for (const auto& uri : context.auth_context()->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME))
    uris.emplace_back(uri.data(), uri.size());
  return principal_from_uris(uris);
}

}  // namespace assay::collector
