// SPDX-License-Identifier: Apache-2.0
// Who calls, by the certificate of the connection. Private to collector/query.
#pragma once

#include <grpcpp/grpcpp.h>

#include "collector/core/principal.h"

namespace assay::collector {

/// Errors: those of principal_from_uris(). Thread-safe.
Result<Principal> principal_of(const grpc::CallbackServerContext& context);

}  // namespace assay::collector
