// SPDX-License-Identifier: Apache-2.0
// Who calls, by the connection's certificate or the call's token, and whether it may. Private to
// collector/query.
#pragma once

#include <grpcpp/grpcpp.h>

#include <optional>

#include "collector/core/doorkeeper.h"

namespace assay::collector {

/// What the call shows of itself. Thread-safe.
Credentials credentials_of(const grpc::CallbackServerContext& context);

/// The status of one that was not admitted: UNAUTHENTICATED, PERMISSION_DENIED, or
/// RESOURCE_EXHAUSTED with when to come back. None: it was.
std::optional<grpc::Status> refusal_of(const Admission& admission);

/// A caller that was admitted, for changes and the audit log.
Actor actor_of(const Admission& admission, const Credentials& shown);

}  // namespace assay::collector
