// SPDX-License-Identifier: Apache-2.0
// Who calls, by the certificate of the connection. Private to collector/query.
#pragma once

#include <grpcpp/grpcpp.h>

#include <optional>
#include <string>

#include "collector/core/principal.h"

namespace assay::collector {

/// A call's caller. `who` has an error when nothing (valid) says who it is.
struct Caller {
  Result<Principal> who;
  std::string peer;  ///< Actor::peer

  /// For changes and the audit log; the name is "" when nobody knows it.
  Actor actor() const { return {who ? who->text() : "", peer}; }
};

/// Thread-safe.
Caller caller_of(const grpc::CallbackServerContext& context);

/// Why `caller` may not use `method`: UNAUTHENTICATED when nobody knows who it is,
/// PERMISSION_DENIED when it has not the role `least`. None: it may.
std::optional<grpc::Status> refusal_of(const Caller& caller, const std::string& method, Role least);

}  // namespace assay::collector
