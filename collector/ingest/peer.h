// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a call that agents make. Private to collector/ingest.
#pragma once

#include <grpcpp/grpcpp.h>

#include <optional>
#include <string>

#include "collector/core/enrolment.h"
#include "collector/core/principal.h"

namespace assay::collector {

/// By the certificate of the connection. Errors: kUntrusted (none, or with other names).
Result<Principal> principal_of(const grpc::CallbackServerContext& context);

/// That certificate; nothing when there is none that can be read.
std::optional<ShownCertificate> shown_certificate(const grpc::CallbackServerContext& context,
                                                  const NodeCertifier& certifier);

/// Its address, "ipv4:192.0.2.7:50000", escaped.
std::string peer_of(const grpc::CallbackServerContext& context);

}  // namespace assay::collector
